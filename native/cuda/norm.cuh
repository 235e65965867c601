// RMS and layer normalisation over the last axis, alone and fused with a residual add. A warp per row.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// A row of D in a warp: element lane + 32 i in values[i].
template <int D>
struct WarpRow {
  static constexpr int COUNT = (D + 31) / 32;
  float values[COUNT];

  // take(d): element d.
  template <class Take>
  __device__ void read(const Take& take) {
    const int lane = int(threadIdx.x % 32);
#pragma unroll
    for (int i = 0; i < COUNT; i++) values[i] = i * 32 + lane < D ? take(i * 32 + lane) : 0.0f;
  }

  // w · (x − centre) · scale + bias; bias may be null.
  template <bool Centred>
  __device__ void write_normed(const float* weight, const float* bias, float eps, float* y) const {
    const int lane = int(threadIdx.x % 32);
    float centre = 0;
    if (Centred) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < COUNT; i++) sum += values[i];
      centre = warp_sum(sum) / float(D);
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const float v = i * 32 + lane < D ? values[i] - centre : 0.0f;
      squares += v * v;
    }
    const float scale = 1.0f / sqrtf(warp_sum(squares) / float(D) + eps);
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const int d = i * 32 + lane;
      if (d >= D) continue;
      const float normed = weight[d] * ((values[i] - centre) * scale);
      y[d] = bias == nullptr ? normed : normed + bias[d];
    }
  }
};

// x (rows,H,D) → y (rows,H,D), row strides LDX and LDY, heads side by side; weight and bias (D) serve every head.
template <bool Centred, int H, int D, int LDX, int LDY, int WARPS>
__device__ inline void norm(int rows, const float* x, const float* weight, const float* bias, float* y, float eps) {
  const long long row = (long long)(blockIdx.x) * WARPS + threadIdx.x / 32;
  if (row >= (long long)(rows) * H) return;
  const float* from = x + row / H * LDX + row % H * D;
  WarpRow<D> values;
  values.read([&](int d) { return from[d]; });
  values.template write_normed<Centred>(weight, bias, eps, y + row / H * LDY + row % H * D);
}

// x, r (rows,D) → sum = x + r, y = norm(sum).
template <bool Centred, int D, int LDX, int LDR, int LDS, int LDY, int WARPS>
__device__ inline void add_norm(int rows, const float* x, const float* r, const float* weight, const float* bias, float* sum,
                                float* y, float eps) {
  const long long row = (long long)(blockIdx.x) * WARPS + threadIdx.x / 32;
  if (row >= rows) return;
  WarpRow<D> values;
  values.read([&](int d) {
    const float v = x[row * LDX + d] + r[row * LDR + d];
    sum[row * LDS + d] = v;
    return v;
  });
  values.template write_normed<Centred>(weight, bias, eps, y + row * LDY);
}

}  // namespace ultramem::cuda
