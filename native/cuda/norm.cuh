// RMS and layer normalisation over the last axis, alone and fused with a residual add. A warp or a block per row.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// With bias[d]; null: as it is.
template <class B>
__device__ inline float biased(float value, const B* bias, int d) {
  return value + load_float(bias + d);
}
__device__ inline float biased(float value, decltype(nullptr), int) { return value; }

// A row of D in WARPS warps: thread t of them holds the elements t + 32 WARPS · i.
template <int D, int WARPS>
struct HeldRow {
  static constexpr int THREADS = WARPS * 32, COUNT = (D + THREADS - 1) / THREADS;
  float values[COUNT];

  static __device__ int place(int i) { return i * THREADS + int(threadIdx.x % THREADS); }

  // take(d): element d.
  template <class Take>
  __device__ void read(const Take& take) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) values[i] = place(i) < D ? take(place(i)) : 0.0f;
  }

  // w · (x − centre) · scale + bias; bias is a pointer, or null.
  template <bool Centred, class W, class B, class Y>
  __device__ void write_normed(const W* weight, B bias, float eps, Y* y) const {
    float centre = 0;
    if (Centred) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < COUNT; i++) sum += values[i];
      centre = block_sum<WARPS>(sum) / float(D);
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const float v = place(i) < D ? values[i] - centre : 0.0f;
      squares += v * v;
    }
    const float scale = 1.0f / sqrtf(block_sum<WARPS>(squares) / float(D) + eps);
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const int d = place(i);
      if (d >= D) continue;
      store_float(y + d, biased(load_float(weight + d) * ((values[i] - centre) * scale), bias, d));
    }
  }
};

// The row of this thread where each takes WARPS warps: several rows in a block, or the whole block for one.
template <int WARPS>
__device__ inline long long held_row() {
  return thread_number() / (WARPS * 32);
}

// x (rows,H,D) → y (rows,H,D), row strides LDX and LDY, heads side by side; weight and bias (D) serve every head.
// WARPS: 1, or those of the block.
template <bool Centred, int H, int D, int LDX, int LDY, int WARPS, class X, class W, class B, class Y>
__device__ inline void norm(int rows, const X* x, const W* weight, B bias, Y* y, float eps) {
  const long long row = held_row<WARPS>();
  if (row >= (long long)(rows) * H) return;
  const X* from = x + row / H * LDX + row % H * D;
  HeldRow<D, WARPS> values;
  values.read([&](int d) { return load_float(from + d); });
  values.template write_normed<Centred>(weight, bias, eps, y + row / H * LDY + row % H * D);
}

// x, r (rows,D) → sum = x + r, y = norm(sum).
template <bool Centred, int D, int LDX, int LDR, int LDS, int LDY, int WARPS, class X, class R, class W, class B, class S,
          class Y>
__device__ inline void add_norm(int rows, const X* x, const R* r, const W* weight, B bias, S* sum, Y* y, float eps) {
  const long long row = held_row<WARPS>();
  if (row >= rows) return;
  HeldRow<D, WARPS> values;
  values.read([&](int d) {
    const float v = load_float(x + row * LDX + d) + load_float(r + row * LDR + d);
    store_float(sum + row * LDS + d, v);
    return v;
  });
  values.template write_normed<Centred>(weight, bias, eps, y + row * LDY);
}

}  // namespace ultramem::cuda
