// Rotary position embedding: a thread per pair of some heads.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// x (rows,H,D) → y (rows,H,D), row strides LDX and LDY. Pair i of a head turns by position · theta^(−2i/D); Half: pair
// (i, i + D/2), else (2i, 2i + 1). The angle is reduced in f64, since positions go far beyond what f32 resolves; HEADS
// heads, a divisor of H, share it.
template <bool Half, int H, int D, int LDX, int LDY, int HEADS, class X, class Y>
__device__ inline void rope(int rows, const X* x, const int* positions, Y* y, double theta) {
  constexpr int PAIRS = D / 2, GROUPS = H / HEADS;
  const long long number = thread_number();
  const long long row = number / (GROUPS * PAIRS);
  if (row >= rows) return;
  const int head = int(number / PAIRS % GROUPS) * HEADS, i = int(number % PAIRS);
  const double frequency = exp(-log(theta) / PAIRS * i);
  constexpr double TURN = 6.283185307179586477;
  const double angle = positions[row] * frequency;
  const float rest = float(angle - floor(angle / TURN + 0.5) * TURN);
  const float cosine = cosf(rest), sine = sinf(rest);
  const int first = Half ? i : 2 * i, second = Half ? i + PAIRS : 2 * i + 1;
  const X* from = x + row * LDX + head * D;
  Y* to = y + row * LDY + head * D;
#pragma unroll
  for (int h = 0; h < HEADS; h++) {
    const float a = load_float(from + h * D + first), b = load_float(from + h * D + second);
    store_float(to + h * D + first, a * cosine - b * sine);
    store_float(to + h * D + second, b * cosine + a * sine);
  }
}

}  // namespace ultramem::cuda
