// Softmax over the last axis. A warp per row.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// x (rows,H,D) → y (rows,H,D), row strides LDX and LDY, heads side by side. A row with NaN or +∞, or of −∞ alone, gives NaN.
template <int H, int D, int LDX, int LDY, int WARPS, class X, class Y>
__device__ inline void softmax(int rows, const X* x, Y* y) {
  const long long row = (long long)(blockIdx.x) * WARPS + threadIdx.x / 32;
  if (row >= (long long)(rows) * H) return;
  const int lane = int(threadIdx.x % 32);
  const X* from = x + row / H * LDX + row % H * D;
  Y* to = y + row / H * LDY + row % H * D;
  float top = -__int_as_float(0x7f800000);
  for (int d = lane; d < D; d += 32) {
    const float v = load_float(from + d);
    top = v > top || v != v ? v : top;
  }
  top = warp_max(top);
  float sum = 0;
  for (int d = lane; d < D; d += 32) sum += expf(load_float(from + d) - top);
  const float scale = 1.0f / warp_sum(sum);
  for (int d = lane; d < D; d += 32) store_float(to + d, expf(load_float(from + d) - top) * scale);
}

}  // namespace ultramem::cuda
