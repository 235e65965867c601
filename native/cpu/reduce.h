// Sum, maximum or mean over one axis.
#pragma once
#include <algorithm>
#include <cmath>

#include "extents.h"

namespace ultramem {

enum class Reduce { sum, max, mean };

// One step of a reduction; the sum in f64, the maximum keeps NaN.
template <Reduce F>
inline double reduce_step(double total, double v) {
  if constexpr (F == Reduce::max) return v > total || v != v ? v : total;
  else return total + v;
}

template <Reduce F, int64_t N>
inline float reduce_result(double total) {
  return static_cast<float>(F == Reduce::mean ? total / static_cast<double>(N) : total);
}

constexpr int64_t kReduceLanes = 16;

// x [N,Inner] → y [Inner], columns side by side.
template <Reduce F, int64_t N, int64_t Inner>
inline void reduce_columns(const float* x, float* y) {
  for (int64_t first = 0; first < Inner; first += kReduceLanes) {
    const int64_t width = std::min(kReduceLanes, Inner - first);
    double total[kReduceLanes];
    std::fill_n(total, kReduceLanes, F == Reduce::max ? -INFINITY : 0.0);
    for (int64_t n = 0; n < N; n++)
      for (int64_t i = 0; i < width; i++) total[i] = reduce_step<F>(total[i], x[n * Inner + first + i]);
    for (int64_t i = 0; i < width; i++) y[first + i] = reduce_result<F, N>(total[i]);
  }
}

// x [N] → one value: elements 16 apart side by side, then those results pairwise.
template <Reduce F, int64_t N>
inline float reduce_row(const float* x) {
  double total[kReduceLanes];
  std::fill_n(total, kReduceLanes, F == Reduce::max ? -INFINITY : 0.0);
  int64_t n = 0;
  for (; n + kReduceLanes <= N; n += kReduceLanes)
    for (int64_t i = 0; i < kReduceLanes; i++) total[i] = reduce_step<F>(total[i], x[n + i]);
  for (int64_t i = 0; n + i < N; i++) total[i] = reduce_step<F>(total[i], x[n + i]);
  for (int64_t width = kReduceLanes / 2; width > 0; width /= 2)
    for (int64_t i = 0; i < width; i++) total[i] = reduce_step<F>(total[i], total[i + width]);
  return reduce_result<F, N>(total[0]);
}

// x [T,Outer,N,Inner] (token stride ldx, inner axes contiguous) → y [T,Outer,Inner].
template <Reduce F, int64_t Outer, int64_t N, int64_t Inner>
void reduce(Pool& pool, int64_t T, const float* x, int64_t ldx, float* y, int64_t ldy) {
  parallel_rows(pool, T * Outer, rows_per_piece(N * Inner), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row / Outer * ldx + row % Outer * (N * Inner);
      float* to = y + row / Outer * ldy + row % Outer * Inner;
      if constexpr (Inner == 1) *to = reduce_row<F, N>(from);
      else reduce_columns<F, N, Inner>(from, to);
    }
  });
}

}  // namespace ultramem
