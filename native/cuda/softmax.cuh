// Softmax over the last axis. A warp per row.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// x (rows,H,D) → y (rows,H,D), row strides LDX and LDY, heads side by side. A row with NaN or +∞, or of −∞ alone, gives NaN.
template <int H, int D, int LDX, int LDY, int WARPS>
__device__ inline void softmax(int rows, const float* x, float* y) {
  const long long row = (long long)(blockIdx.x) * WARPS + threadIdx.x / 32;
  if (row >= (long long)(rows) * H) return;
  const int lane = int(threadIdx.x % 32);
  const float* from = x + row / H * LDX + row % H * D;
  float* to = y + row / H * LDY + row % H * D;
  float top = -__int_as_float(0x7f800000);
  for (int d = lane; d < D; d += 32) top = from[d] > top || from[d] != from[d] ? from[d] : top;
  top = warp_max(top);
  float sum = 0;
  for (int d = lane; d < D; d += 32) sum += expf(from[d] - top);
  const float scale = 1.0f / warp_sum(sum);
  for (int d = lane; d < D; d += 32) to[d] = expf(from[d] - top) * scale;
}

}  // namespace ultramem::cuda
