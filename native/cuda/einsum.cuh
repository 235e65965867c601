// Einsum of two operands for shapes that no special kernel serves: a loop nest with constant extents and strides.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// y[row, kept…] = Σ over summed of a · b; strides over kept and summed axes, 0 where an operand has no such axis. LANES, 1 or
// 32, share an element's terms: a thread per element where neighbouring elements lie side by side, a warp where terms do.
template <int LANES, class Kept, class Summed, long long LDA, class AKept, class ASummed, long long LDB, class BKept,
          class BSummed, long long LDY, class A, class B, class Y>
__device__ inline void einsum(int rows, const A* a, const B* b, Y* y) {
  const long long number = thread_number() / LANES;
  const int lane = LANES == 1 ? 0 : int(threadIdx.x % LANES);
  const long long row = number / product_of<Kept>, e = number % product_of<Kept>;
  if (row >= rows) return;
  const A* from_a = a + row * LDA + Walk<Kept, AKept>::at(e);
  const B* from_b = b + row * LDB + Walk<Kept, BKept>::at(e);
  // Two levels of sums: the error grows with the root of the length.
  constexpr long long RUN = 64 * LANES;
  float sum = 0;
  for (long long first = 0; first < product_of<Summed>; first += RUN) {
    float part = 0;
    for (long long s = first + lane; s < first + RUN && s < product_of<Summed>; s += LANES)
      part += load_float(from_a + Walk<Summed, ASummed>::at(s)) * load_float(from_b + Walk<Summed, BSummed>::at(s));
    sum += part;
  }
  if constexpr (LANES > 1) sum = warp_sum(sum);
  if (lane == 0) store_float(y + row * LDY + e, sum);
}

}  // namespace ultramem::cuda
