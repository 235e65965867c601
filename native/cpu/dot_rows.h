// Dot products of a query with rows that lie apart, as many side by side as a vector has lanes. Nothing is asked for ahead: the
// rows are many enough to keep all of a core's loads on their way.
#pragma once
#include "stored.h"
#include "vector_math.h"

namespace ultramem {

// D floats in the order in which rows of E meet them: as they are; for bf16, of every two vectors the even ones, then the odd ones,
// so that a vector of pairs is widened without moving a lane.
template <int64_t D, class E>
class DotQuery {
 public:
  static constexpr int64_t STEP = std::is_same_v<E, BF16> ? 2 * LANES : LANES, whole = D / STEP * STEP;

  void set(const float* q) {
    at_ = q;
    if constexpr (STEP > LANES) {
      for (int64_t d = 0; d < whole; d += STEP)
        for (int64_t i = 0; i < LANES; i++) arranged_[d + i] = q[d + 2 * i], arranged_[d + LANES + i] = q[d + 2 * i + 1];
      for (int64_t d = whole; d < D; d++) arranged_[d] = q[d];
      at_ = arranged_;
    }
  }
  const float* at() const { return at_; }

 private:
  const float* at_ = nullptr;
  alignas(64) float arranged_[STEP > LANES ? D : 1];
};

template <class E>
inline void add_products(const float* q, const E* row, Vec& sum) { sum = multiply_add(load(q), load(row), sum); }
inline void add_products(const float* q, const BF16* row, Vec& sum) {
  const IntVec pairs = load_pairs(row);
  sum = multiply_add(load(q + LANES), second_of_pairs(pairs), multiply_add(load(q), first_of_pairs(pairs), sum));
}

// Lane i of the result: query(i) · rows[i], D floats each, where query(i) is DotQuery::at of the query. Products are added lane by
// lane, then the lanes in halves. Only the first n lanes are made whole where steps do not divide D.
template <int64_t D, class E, class Query>
inline Vec dot_rows(const Query& query, const E* const* rows, int n = LANES) {
  constexpr int64_t STEP = DotQuery<D, E>::STEP, whole = DotQuery<D, E>::whole;
  constexpr int ABREAST = 4;  // rows whose multiply-adds do not wait for each other; their pointers fit the registers
  Vec sums[LANES];
#pragma GCC unroll 16
  for (int first = 0; first < LANES; first += ABREAST) {
    Vec own[ABREAST] = {};
    for (int64_t d = 0; d < whole; d += STEP)
#pragma GCC unroll 4
      for (int i = 0; i < ABREAST; i++) add_products(query(first + i) + d, rows[first + i] + d, own[i]);
#pragma GCC unroll 4
    for (int i = 0; i < ABREAST; i++) sums[first + i] = own[i];
  }
  Vec totals = sums_of(sums);
  if constexpr (whole < D)
    for (int i = 0; i < n; i++)
      for (int64_t d = whole; d < D; d++) totals[i] += query(i)[d] * to_float(rows[i][d]);
  return totals;
}

}  // namespace ultramem
