// top-k along the last axis, by the order of topk_select.h.
#pragma once
#include "pool.h"
#include "topk_select.h"

namespace ultramem {

// Values looked at in one go: short rows at once, long ones in runs over which the bound of the k-th value rises.
template <int64_t N, int64_t K>
constexpr int64_t topk_run() {
  return N <= 4096 ? N : int64_t(round_up(8 * K < 2048 ? 2048 : 8 * K, LANES));
}

template <int64_t N, int64_t K>
constexpr size_t topk_scratch() {
  return sizeof(TopSelection<topk_run<N, K>(), K>) + 64 + sizeof(typename TopSelection<topk_run<N, K>(), K>::Best);
}

// x (rows, N) with row stride ldx → values (rows, K), index (rows, K), both contiguous. 1 ≤ K ≤ N.
template <int64_t N, int64_t K>
void topk(Pool& pool, int64_t rows, const float* x, int64_t ldx, float* values, int32_t* index) {
  constexpr int64_t RUN = topk_run<N, K>();
  using Selection = TopSelection<RUN, K>;
  pool.parallel(rows, [&](int64_t row, int worker) {
    char* scratch = pool.scratch(worker);
    Selection& selection = *reinterpret_cast<Selection*>(scratch);
    const float* scores = x + row * ldx;
    if constexpr (RUN == N) {
      selection.select(scores, N, values + row * K, index + row * K);
    } else {
      auto& best = *reinterpret_cast<typename Selection::Best*>(scratch + round_up(sizeof(Selection), 64));
      best.count = 0;
      int64_t first = 0;
      for (; first + RUN < N; first += RUN) selection.offer(best, scores + first, RUN, int32_t(first));
      selection.finish(best, scores + first, N - first, int32_t(first), values + row * K, index + row * K);
    }
  });
}

}  // namespace ultramem
