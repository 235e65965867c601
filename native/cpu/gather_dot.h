// Rank scores of selected keys: gathers key rows and takes their dot products with the query.
#pragma once
#include "dot_rows.h"
#include "extents.h"

namespace ultramem {

// index [M] of one token and head → y [M,R], or [R,M] when RankMajor; q of rank ρ at q + ρ*QueryRank, keys [N,R,D] of
// that head.
template <int64_t N, int64_t R, int64_t D, int64_t M, int64_t QueryRank, bool RankMajor, class E>
inline void gather_dot_rows(const float* q, const E* keys, const int32_t* index, float* y) {
  constexpr int64_t count = M * R;
  const auto rank = [](int64_t i) { return RankMajor ? (i < count ? i / M : R - 1) : i % R; };
  const E* rows[(count + LANES - 1) / LANES * LANES];
  for (int64_t m = 0; m < M; m++) {
    const int64_t n = index[m] < 0 ? 0 : index[m] >= N ? N - 1 : index[m];
    for (int64_t r = 0; r < R; r++) rows[RankMajor ? r * M + m : m * R + r] = keys + (n * R + r) * D;
  }
  // A partial last group repeats its last row.
  for (int64_t i = count; i < static_cast<int64_t>(sizeof(rows) / sizeof(rows[0])); i++) rows[i] = rows[count - 1];
  constexpr int64_t QUERIES = QueryRank == 0 ? 1 : R;
  DotQuery<D, E> queries[QUERIES];
  for (int64_t r = 0; r < QUERIES; r++) queries[r].set(q + r * QueryRank);
  for (int64_t first = 0; first < count; first += LANES) {
    const int n = static_cast<int>(count - first < LANES ? count - first : LANES);
    const auto query = [&](int i) { return queries[QueryRank == 0 ? 0 : rank(first + i)].at(); };
    store_first(y + first, dot_rows<D>(query, rows + first, n), n);
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
