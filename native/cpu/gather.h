// Gathers: rows of a table, and labelled gathers in general. Indices are clamped into range, so memory is safe.
#pragma once
#include <cstring>

#include "extents.h"

namespace ultramem {

template <class I>
inline int64_t clamp_index(I index, int64_t count) {
  const int64_t i = static_cast<int64_t>(index);
  return i < 0 ? 0 : i >= count ? count - 1 : i;
}

// table [N,D], index [T,M] (int32_t or int64_t, token stride ldi) → y [T,M,D].
template <int64_t N, int64_t D, int64_t M, class E, class I>
void gather_rows(Pool& pool, int64_t T, const E* table, const I* index, int64_t ldi, E* y, int64_t ldy) {
  parallel_rows(pool, T, rows_per_piece(M * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++)
      for (int64_t m = 0; m < M; m++)
        std::memcpy(y + t * ldy + m * D, table + clamp_index(index[t * ldi + m], N) * D, D * sizeof(E));
  });
}

// y [T, Dims…] (inner axes contiguous):
// y[t, e…] = source[t*lds + Σ e·SourceStrides + i*Stride], i = index[t*ldi + Σ e·IndexStrides] clamped to [0, Count).
// lds, ldi = 0 where an operand has no T axis.
template <class Dims, class SourceStrides, class IndexStrides, int64_t Count, int64_t Stride, class E, class I>
void gather(Pool& pool, int64_t T, const E* source, int64_t lds, const I* index, int64_t ldi, E* y, int64_t ldy) {
  using N = Nest<Dims, SourceStrides, IndexStrides, RowMajor<Dims>>;
  constexpr int64_t ss = N::inner_stride(0), si = N::inner_stride(1);
  const int64_t ld[] = {lds, ldi, ldy};
  parallel_nest<N>(pool, T, ld, [&](const int64_t* offset, int64_t begin, int64_t end) {
    const E* from = source + offset[0];
    const I* pick = index + offset[1];
    E* to = y + offset[2];
    if constexpr (si == 0) {
      from += clamp_index(*pick, Count) * Stride;
      for (int64_t e = begin; e < end; e++) to[e] = from[e * ss];
    } else {
      for (int64_t e = begin; e < end; e++) to[e] = from[e * ss + clamp_index(pick[e * si], Count) * Stride];
    }
  });
}

}  // namespace ultramem
