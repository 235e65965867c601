// Softmax over the last axis.
#pragma once
#include <cmath>

#include "extents.h"
#include "vector_math.h"

namespace ultramem {

// x [T,H,D] (token stride ldx, heads contiguous) → y [T,H,D]; y may be x. A row with NaN or +∞, or of -∞ alone, gives NaN.
template <int64_t H, int64_t D>
void softmax(Pool& pool, int64_t T, const float* x, int64_t ldx, float* y, int64_t ldy) {
  constexpr int64_t whole = D / LANES * LANES;
  constexpr int tail = static_cast<int>(D - whole);
  parallel_rows(pool, T * H, rows_per_piece(4 * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row / H * ldx + row % H * D;
      float* to = y + row / H * ldy + row % H * D;
      Vec tops = splat(-INFINITY);
      for (int64_t i = 0; i < whole; i += LANES) tops = max(load(from + i), tops);
      float top = largest(tops);
      for (int64_t i = whole; i < D; i++) top = from[i] > top ? from[i] : top;
      Vec sums{};
      for (int64_t i = 0; i < whole; i += LANES) {
        const Vec e = fn::exp(load(from + i) - top);
        store(to + i, e);
        sums += e;
      }
      float total = sum(sums);
      if constexpr (tail > 0) {
        const Vec e = fn::exp(load_first(from + whole, tail) - top);
        store_first(to + whole, e, tail);
        for (int i = 0; i < tail; i++) total += e[i];
      }
      const float scale = 1 / total;
      for (int64_t i = 0; i < D; i++) to[i] *= scale;
    }
  });
}

}  // namespace ultramem
