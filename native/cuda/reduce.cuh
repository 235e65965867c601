// Sums, maxima and means over one axis, in f64 as on the CPU, and sums of rows by group.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

struct Sum {
  static __device__ double start() { return 0; }
  static __device__ double step(double total, double v) { return total + v; }
  static __device__ double end(double total, long long) { return total; }
};
struct Mean : Sum {
  static __device__ double end(double total, long long count) { return total / double(count); }
};
struct Max {
  static __device__ double start() { return -__int_as_float(0x7f800000); }
  static __device__ double step(double total, double v) { return v > total || v != v ? v : total; }
  static __device__ double end(double total, long long) { return total; }
};

// x (rows,Outer,N,Inner) of row stride LDX → y (rows,Outer,Inner) of row stride LDY. LANES, 1 or 32, share an element.
template <class F, int LANES, long long Outer, long long N, long long Inner, long long LDX, long long LDY, class X,
          class Y>
__device__ inline void reduce(int rows, const X* x, Y* y) {
  const long long number = thread_number() / LANES;
  const int lane = LANES == 1 ? 0 : int(threadIdx.x % LANES);
  const long long row = number / (Outer * Inner), e = number % (Outer * Inner);
  if (row >= rows) return;
  const X* from = x + row * LDX + e / Inner * (N * Inner) + e % Inner;
  double total = F::start();
  for (long long n = lane; n < N; n += LANES) total = F::step(total, load_float(from + n * Inner));
#pragma unroll
  for (int stride = LANES / 2; stride > 0; stride /= 2) total = F::step(total, __shfl_xor_sync(ALL_LANES, total, stride));
  if (lane == 0) store_float(y + row * LDY + e, float(F::end(total, N)));
}

// x (rows,R,D), group (rows,R) → y (rows,G,D): Σ over rows of group g, in their order. Group numbers are clamped.
template <long long R, long long D, long long G, long long LDX, long long LDG, long long LDY, class X, class Y>
__device__ inline void group_sum(int rows, const X* x, const int* group, Y* y) {
  const long long number = thread_number();
  const long long row = number / (G * D), e = number % (G * D);
  if (row >= rows) return;
  float sum = 0;
  for (long long j = 0; j < R; j++)
    if (clamp_index(group[row * LDG + j], G) == e / D) sum += load_float(x + row * LDX + j * D + e % D);
  store_float(y + row * LDY + e, sum);
}

}  // namespace ultramem::cuda
