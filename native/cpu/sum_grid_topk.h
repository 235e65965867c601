// Stage 2 of product keys (UltraMem §3): the best K sums of two sorted lists, their addresses, shuffle.
#pragma once
#include <algorithm>
#include <cmath>

#include "extents.h"
#include "topk_select.h"

namespace ultramem {

// Of row a of the grid, the first cells alone can be among the K best: a cell stands behind all cells that lie not below and not
// right of it, whose sums are no smaller and whose places come first.
constexpr int64_t cells_in_question(int64_t a, int64_t M, int64_t K) { return std::min(M, K / (a + 1)); }
constexpr int64_t cells_in_question(int64_t M, int64_t K) {
  int64_t count = 0;
  for (int64_t a = 0; a < M; a++) count += cells_in_question(a, M, K);
  return count;
}

// Memory of one worker.
template <int64_t M, int64_t K>
struct SumGridMemory {
  static constexpr int64_t CELLS = cells_in_question(M, K);
  alignas(64) float sums[CELLS + LANES];
  int32_t places[CELLS];
  float values[K];
  int32_t chosen[K];
  TopSelection<CELLS, K> selection;
};

template <int64_t M, int64_t K>
constexpr size_t sum_grid_topk_scratch() {
  return sizeof(SumGridMemory<M, K>);
}

// The K best of all M*M cells, one by one: sums of infinities may be NaN anywhere, so that no cell can be left out.
template <int64_t M, int64_t K>
inline void best_of_all_cells(const float* row, const float* col, float* values, int32_t* places) {
  int64_t count = 0;
  for (int64_t place = 0; place < M * M; place++) {
    const float sum = row[place / M] + col[place % M];
    int64_t at = count;
    for (; at > 0 && stands_before(sum, int32_t(place), values[at - 1], places[at - 1]); at--)
      if (at < K) values[at] = values[at - 1], places[at] = places[at - 1];
    if (at < K) values[at] = sum, places[at] = int32_t(place);
    count = std::min(count + 1, K);
  }
}

// row, col [T,H,M], each in the order of topk, row_index, col_index [T,H,M] (into the N keys of each side), shuffle [N*N] or null →
// slot [T,H,K] = row_index*N + col_index of the K cells of largest row + col, in topk order, then shuffle[slot]; scores [T,H,K].
// Indices are clamped. 1 ≤ K ≤ M*M.
template <int64_t H, int64_t N, int64_t M, int64_t K>
void sum_grid_topk(Pool& pool, int64_t T, const float* row, int64_t ldrow, const float* col, int64_t ldcol,
                   const int32_t* row_index, int64_t ldri, const int32_t* col_index, int64_t ldci, const int32_t* shuffle,
                   int32_t* slot, int64_t ldslot, float* scores, int64_t ldscores) {
  static_assert(1 <= K && K <= M * M, "K places of the grid");
  const auto clamped = [](int32_t i) { return i < 0 ? 0 : i >= N ? N - 1 : static_cast<int64_t>(i); };
  pool.parallel(T * H, [&](int64_t piece, int worker) {
    const int64_t t = piece / H, h = piece % H;
    auto& memory = *reinterpret_cast<SumGridMemory<M, K>*>(pool.scratch(worker));
    const float *a = row + t * ldrow + h * M, *b = col + t * ldcol + h * M;
    float* to = scores + t * ldscores + h * K;
    // Sorted: the ends tell of all. A NaN stands last.
    const bool finite = std::isfinite(a[0]) && std::isfinite(a[M - 1]) && std::isfinite(b[0]) && std::isfinite(b[M - 1]);
    if (finite) {
      int64_t count = 0;
      for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < cells_in_question(i, M, K); j++, count++) {
          memory.sums[count] = a[i] + b[j];
          memory.places[count] = static_cast<int32_t>(i * M + j);
        }
      memory.selection.select(memory.sums, count, memory.values, memory.chosen);
      for (int64_t k = 0; k < K; k++) {
        to[k] = memory.values[k];
        memory.chosen[k] = memory.places[memory.chosen[k]];
      }
    } else {
      best_of_all_cells<M, K>(a, b, memory.values, memory.chosen);
      std::copy_n(memory.values, K, to);
    }
    for (int64_t k = 0; k < K; k++) {
      const int64_t i = memory.chosen[k] / M, j = memory.chosen[k] % M;
      const int64_t address = clamped(row_index[t * ldri + h * M + i]) * N + clamped(col_index[t * ldci + h * M + j]);
      slot[t * ldslot + h * K + k] = shuffle ? shuffle[address] : static_cast<int32_t>(address);
    }
  });
}

}  // namespace ultramem
