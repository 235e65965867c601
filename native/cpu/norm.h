// RMS and layer normalisation over the last axis, alone and fused with a residual add. Sums in f64.
#pragma once
#include <cmath>

#include "extents.h"

namespace ultramem {

// Σ f(x[i]) in f64, in lanes added pairwise: the order depends on D alone.
template <int64_t D, class F>
inline double lane_sum(const float* x, const F& f) {
  constexpr int64_t lanes = 16;
  double sum[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= D; i += lanes)
    for (int64_t l = 0; l < lanes; l++) sum[l] += f(static_cast<double>(x[i + l]));
  for (int64_t l = 0; i + l < D; l++) sum[l] += f(static_cast<double>(x[i + l]));
  for (int64_t width = lanes / 2; width > 0; width /= 2)
    for (int64_t l = 0; l < width; l++) sum[l] += sum[l + width];
  return sum[0];
}

template <int64_t D>
inline void rms_norm_row(const float* x, const float* w, float eps, float* y) {
  const double mean = lane_sum<D>(x, [](double v) { return v * v; }) / static_cast<double>(D);
  const float scale = static_cast<float>(1 / std::sqrt(mean + static_cast<double>(eps)));
  for (int64_t i = 0; i < D; i++) y[i] = w[i] * (x[i] * scale);
}

template <int64_t D>
inline void layer_norm_row(const float* x, const float* w, const float* bias, float eps, float* y) {
  const double mean = lane_sum<D>(x, [](double v) { return v; }) / static_cast<double>(D);
  const double variance = lane_sum<D>(x, [mean](double v) { return (v - mean) * (v - mean); }) / static_cast<double>(D);
  const float scale = static_cast<float>(1 / std::sqrt(variance + static_cast<double>(eps)));
  const float centre = static_cast<float>(mean);
  if (bias) {
    for (int64_t i = 0; i < D; i++) y[i] = w[i] * ((x[i] - centre) * scale) + bias[i];
  } else {
    for (int64_t i = 0; i < D; i++) y[i] = w[i] * ((x[i] - centre) * scale);
  }
}

// x [T,H,D] (token stride ldx, heads contiguous) → y [T,H,D]: w * (x * rsqrt(mean(x²) + eps)); w [D] shared by heads.
// y may be x.
template <int64_t H, int64_t D>
void rms_norm_heads(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* w, float eps, float* y, int64_t ldy) {
  parallel_rows(pool, T * H, rows_per_piece(2 * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++)
      rms_norm_row<D>(x + row / H * ldx + row % H * D, w, eps, y + row / H * ldy + row % H * D);
  });
}

// x [rows,D] → y [rows,D]; y may be x.
template <int64_t D>
void rms_norm(Pool& pool, int64_t rows, const float* x, int64_t ldx, const float* w, float eps, float* y, int64_t ldy) {
  rms_norm_heads<1, D>(pool, rows, x, ldx, w, eps, y, ldy);
}

// x [T,H,D] → y [T,H,D]: w * ((x - mean) * rsqrt(variance + eps)) + bias; bias [D] may be null. y may be x.
template <int64_t H, int64_t D>
void layer_norm_heads(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* w, const float* bias, float eps,
                      float* y, int64_t ldy) {
  parallel_rows(pool, T * H, rows_per_piece(3 * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++)
      layer_norm_row<D>(x + row / H * ldx + row % H * D, w, bias, eps, y + row / H * ldy + row % H * D);
  });
}

template <int64_t D>
void layer_norm(Pool& pool, int64_t rows, const float* x, int64_t ldx, const float* w, const float* bias, float eps,
                float* y, int64_t ldy) {
  layer_norm_heads<1, D>(pool, rows, x, ldx, w, bias, eps, y, ldy);
}

// x, r [T,D] → sum = x + r, y = rms_norm(sum). sum may be x or r; y overlaps nothing.
template <int64_t D>
void add_norm(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* r, int64_t ldr, const float* w, float eps,
              float* sum, int64_t lds, float* y, int64_t ldy) {
  parallel_rows(pool, T, rows_per_piece(4 * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      float* s = sum + t * lds;
      for (int64_t i = 0; i < D; i++) s[i] = x[t * ldx + i] + r[t * ldr + i];
      rms_norm_row<D>(s, w, eps, y + t * ldy);
    }
  });
}

// The same with layer_norm; bias may be null.
template <int64_t D>
void add_layer_norm(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* r, int64_t ldr, const float* w,
                    const float* bias, float eps, float* sum, int64_t lds, float* y, int64_t ldy) {
  parallel_rows(pool, T, rows_per_piece(5 * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      float* s = sum + t * lds;
      for (int64_t i = 0; i < D; i++) s[i] = x[t * ldx + i] + r[t * ldr + i];
      layer_norm_row<D>(s, w, bias, eps, y + t * ldy);
    }
  });
}

}  // namespace ultramem
