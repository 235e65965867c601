// Rank scores of selected keys: gathers key rows and takes their dot products with the query.
#pragma once
#include "extents.h"
#include "stored.h"
#include "vector_math.h"

namespace ultramem {

// index [M] of one token and head → y [M,R], or [R,M] when RankMajor; q of rank ρ at q + ρ*QueryRank, keys [N,R,D] of
// that head. LANES dot products side by side; the rows of the next ones are asked for meanwhile.
template <int64_t N, int64_t R, int64_t D, int64_t M, int64_t QueryRank, bool RankMajor, class E>
inline void gather_dot_rows(const float* q, const E* keys, const int32_t* index, float* y) {
  constexpr int64_t whole = D / LANES * LANES, count = M * R;
  constexpr int64_t line = 64 / sizeof(E);  // elements of a cache line
  const auto rank = [](int64_t i) { return RankMajor ? (i < count ? i / M : R - 1) : i % R; };
  const E* rows[(count + LANES - 1) / LANES * LANES + LANES];
  for (int64_t m = 0; m < M; m++) {
    const int64_t n = index[m] < 0 ? 0 : index[m] >= N ? N - 1 : index[m];
    for (int64_t r = 0; r < R; r++) rows[RankMajor ? r * M + m : m * R + r] = keys + (n * R + r) * D;
  }
  // A partial last group repeats its last row.
  for (int64_t i = count; i < static_cast<int64_t>(sizeof(rows) / sizeof(rows[0])); i++) rows[i] = rows[count - 1];
  for (int64_t first = 0; first < count; first += LANES) {
    const E* const* group = rows + first;
    Vec sums[LANES] = {};
    for (int64_t d = 0; d < whole; d += LANES) {
#pragma GCC unroll 16
      for (int i = 0; i < LANES; i++) {
        const float* at = q + d;
        if constexpr (QueryRank != 0) at += rank(first + i) * QueryRank;
        sums[i] += load(at) * load(group[i] + d);
        if (LANES >= line || d % line == 0) __builtin_prefetch(group[i + LANES] + d);
      }
    }
    Vec totals = sums_of(sums);
    const int n = static_cast<int>(count - first < LANES ? count - first : LANES);
    if constexpr (whole < D) {
      for (int i = 0; i < n; i++)
        for (int64_t d = whole; d < D; d++) totals[i] += q[rank(first + i) * QueryRank + d] * to_float(group[i][d]);
    }
    store_first(y + first, totals, n);
  }
}

// q: query of (token, head h, rank ρ) starts at t*ldq + h*QueryHead + ρ*QueryRank (shared [T,D]: 0, 0; per rank
// [T,R,D]: 0, D; per head [T,H,D]: D, 0). keys [H,N,R,D], index [T,H,M] → y [T,H,M,R]. Indices are clamped.
template <int64_t H, int64_t N, int64_t R, int64_t D, int64_t M, int64_t QueryHead, int64_t QueryRank, class E>
void gather_dot(Pool& pool, int64_t T, const float* q, int64_t ldq, const E* keys, const int32_t* index, int64_t ldi,
                float* y, int64_t ldy) {
  parallel_rows(pool, T * H, rows_per_piece(M * R * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t t = row / H, h = row % H;
      gather_dot_rows<N, R, D, M, QueryRank, false>(q + t * ldq + h * QueryHead, keys + h * (N * R * D), index + t * ldi + h * M,
                                             y + t * ldy + h * M * R);
    }
  });
}

}  // namespace ultramem
