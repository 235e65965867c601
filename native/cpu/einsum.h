// Einsum of two operands for shapes that no special kernel serves: a loop nest with constant extents and strides.
#pragma once
#include "extents.h"
#include "simd.h"

namespace ultramem {

// Offset of the n-th point of the axes [From, To) of Dims under Strides.
template <class Dims, class Strides, int From, int To>
constexpr int64_t einsum_offset(int64_t n) {
  int64_t offset = 0;
  for (int i = To - 1; i >= From; i--) {
    offset += n % Dims::value[i] * Strides::value[i];
    n /= Dims::value[i];
  }
  return offset;
}

template <class Dims, int From, int To>
constexpr int64_t einsum_extent() {
  int64_t p = 1;
  for (int i = From; i < To; i++) p *= Dims::value[i];
  return p;
}

// Labels besides T: the output's first, in its order (so y's inner axes are contiguous), then the summed ones. Dims is
// their extents, YRank how many belong to y, AStrides and BStrides their strides in a and b (0: label absent).
// y[t, e…] = Σ a[t*lda + Σ e·AStrides] * b[t*ldb + Σ e·BStrides]; lda, ldb = 0 where an operand has no T axis.
// The innermost output label runs over lanes where both operands allow it, else the innermost summed label does.
template <class Dims, int YRank, class AStrides, class BStrides>
void einsum(Pool& pool, int64_t T, const float* a, int64_t lda, const float* b, int64_t ldb, float* y, int64_t ldy) {
  constexpr int rank = Dims::rank;
  static_assert(YRank <= rank && AStrides::rank == rank && BStrides::rank == rank, "one stride per label");
  constexpr bool has_columns = YRank > 0;
  constexpr int column = has_columns ? YRank - 1 : 0;
  constexpr int64_t columns = has_columns ? Dims::value[column] : 1;
  constexpr int64_t a_column = has_columns ? AStrides::value[column] : 0;
  constexpr int64_t b_column = has_columns ? BStrides::value[column] : 0;
  constexpr bool has_sum = YRank < rank;
  constexpr int64_t terms = has_sum ? Dims::value[rank - 1] : 1;  // of the innermost summed label
  constexpr int64_t a_term = has_sum ? AStrides::value[rank - 1] : 0;
  constexpr int64_t b_term = has_sum ? BStrides::value[rank - 1] : 0;
  constexpr int64_t rows = einsum_extent<Dims, 0, has_columns ? column : 0>();
  constexpr int64_t sums = einsum_extent<Dims, YRank, has_sum ? rank - 1 : YRank>();
  constexpr bool over_columns = columns >= LANES && (a_column | 1) == 1 && (b_column | 1) == 1;
  constexpr bool over_terms = terms >= LANES && a_term == 1 && b_term == 1;
  const auto a_row = [](int64_t r) { return einsum_offset<Dims, AStrides, 0, has_columns ? column : 0>(r); };
  const auto b_row = [](int64_t r) { return einsum_offset<Dims, BStrides, 0, has_columns ? column : 0>(r); };
  const auto a_sum = [](int64_t s) { return einsum_offset<Dims, AStrides, YRank, has_sum ? rank - 1 : YRank>(s); };
  const auto b_sum = [](int64_t s) { return einsum_offset<Dims, BStrides, YRank, has_sum ? rank - 1 : YRank>(s); };

  // One output element.
  const auto element = [&](const float* pa, const float* pb) {
    float total = 0;
    for (int64_t s = 0; s < sums; s++) {
      const float* from_a = pa + a_sum(s);
      const float* from_b = pb + b_sum(s);
      int64_t k = 0;
      if constexpr (over_terms) {
        Vec lanes{};
        for (; k + LANES <= terms; k += LANES) lanes += load(from_a + k) * load(from_b + k);
        total += sum(lanes);
      }
      for (; k < terms; k++) total += from_a[k * a_term] * from_b[k * b_term];
    }
    return total;
  };

  // Columns of a piece: a multiple of the four vectors that are summed side by side.
  constexpr int64_t cost = sums * terms;
  constexpr int64_t strip = 4 * LANES;
  constexpr int64_t width = columns * cost <= kPieceCost ? columns : (rows_per_piece(cost) + strip - 1) / strip * strip;
  constexpr int64_t strips = (columns + width - 1) / width;
  parallel_rows(pool, T * rows * strips, rows_per_piece(width * cost), [&](int64_t begin, int64_t end, int) {
    for (int64_t piece = begin; piece < end; piece++) {
      const int64_t t = piece / (rows * strips), r = piece / strips % rows;
      const int64_t first = piece % strips * width, last = first + width < columns ? first + width : columns;
      const float* pa = a + t * lda + a_row(r);
      const float* pb = b + t * ldb + b_row(r);
      float* to = y + t * ldy + r * columns;
      int64_t c = first;
      if constexpr (over_columns) {
        for (; c + strip <= last; c += strip) {
          Vec total[4] = {};
          for (int64_t s = 0; s < sums; s++) {
            const float* from_a = pa + a_sum(s) + c * a_column;
            const float* from_b = pb + b_sum(s) + c * b_column;
            for (int64_t k = 0; k < terms; k++)
              for (int v = 0; v < 4; v++) {
                const Vec x = a_column ? load(from_a + k * a_term + v * LANES) : splat(from_a[k * a_term]);
                const Vec z = b_column ? load(from_b + k * b_term + v * LANES) : splat(from_b[k * b_term]);
                total[v] += x * z;
              }
          }
          for (int v = 0; v < 4; v++) store(to + c + v * LANES, total[v]);
        }
        for (; c < last; c += LANES) {
          const int n = static_cast<int>(last - c < LANES ? last - c : LANES);
          Vec total{};
          for (int64_t s = 0; s < sums; s++) {
            const float* from_a = pa + a_sum(s) + c * a_column;
            const float* from_b = pb + b_sum(s) + c * b_column;
            for (int64_t k = 0; k < terms; k++) {
              const Vec x = a_column ? load_first(from_a + k * a_term, n) : splat(from_a[k * a_term]);
              const Vec z = b_column ? load_first(from_b + k * b_term, n) : splat(from_b[k * b_term]);
              total += x * z;
            }
          }
          store_first(to + c, total, n);
        }
      } else {
        for (; c < last; c++) to[c] = element(pa + c * a_column, pb + c * b_column);
      }
    }
  });
}

}  // namespace ultramem
