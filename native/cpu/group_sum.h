// Sums rows by group.
#pragma once
#include "extents.h"

namespace ultramem {

// x [T,R,D], group [T,R] → y [T,G,D]: y[t,g] = Σ over rows j with group g of x[t,j], in row order. Group numbers
// outside [0, G) are clamped.
template <int64_t R, int64_t D, int64_t G>
void group_sum(Pool& pool, int64_t T, const float* x, int64_t ldx, const int32_t* group, int64_t ldg, float* y, int64_t ldy) {
  parallel_rows(pool, T, rows_per_piece(R * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      float* yt = y + t * ldy;
      for (int64_t i = 0; i < G * D; i++) yt[i] = 0;
      for (int64_t j = 0; j < R; j++) {
        const int32_t g = group[t * ldg + j];
        float* __restrict to = yt + (g < 0 ? 0 : g >= G ? G - 1 : g) * D;
        const float* __restrict from = x + t * ldx + j * D;
        for (int64_t d = 0; d < D; d++) to[d] += from[d];
      }
    }
  });
}

}  // namespace ultramem
