// Stage 2 of the retrieval (UltraMem §1 steps 8-9): bilinear core scores over the M×M grid, and their top K.
#pragma once
#include <algorithm>

#include "extents.h"
#include "topk_select.h"

namespace ultramem {

// One token and head: scores of a run of grid rows at a time, offered to a running selection. Memory of one worker.
template <int64_t M, int64_t R, int64_t C, int64_t K>
class GridSelection {
 public:
  // row, col [R,M] (transposed, so that lanes run over the grid's axes; LANES floats behind them are read and not used),
  // core [C,R,R] → position [K], scores [K,C].
  void select(const float* row, const float* col, const float* core, int32_t* position, float* scores) {
    for (int64_t c = 0; c < C; c++)
      for (int64_t j = 0; j < R; j++)
        for (int64_t a = 0; a < M; a += LANES) {
          Vec total = core[c * R * R + j] * load(row + a);
          for (int64_t i = 1; i < R; i++) total += core[(c * R + i) * R + j] * load(row + i * M + a);
          store(left_ + (c * R + j) * PADDED + a, total);
        }

    if constexpr (RUN_ROWS == M) {
      score_rows(col, 0, M);
      selection_.select(grid_, M * M, values_, position);
    } else {
      best_.count = 0;
      int64_t a = 0;
      for (; a + RUN_ROWS < M; a += RUN_ROWS) {
        score_rows(col, a, a + RUN_ROWS);
        selection_.offer(best_, grid_, RUN_ROWS * M, static_cast<int32_t>(a * M));
      }
      score_rows(col, a, M);
      selection_.finish(best_, grid_, (M - a) * M, static_cast<int32_t>(a * M), values_, position);
    }

    for (int64_t k = 0; k < K; k++) {
      const int64_t a = position[k] / M, b = position[k] % M;
      for (int64_t c = 0; c < C; c++) {
        const float* left = left_ + c * R * PADDED + a;
        float total = left[0] * col[b];
        for (int64_t j = 1; j < R; j++) total += left[j * PADDED] * col[j * M + b];
        scores[k * C + c] = total;
      }
    }
  }

 private:
  static constexpr int64_t PADDED = round_up(M, LANES);
  static constexpr int64_t RUN_ROWS = M * M <= 4096 ? M : 4096 / M;  // a run stays in the first-level cache

  // grid_ = Σ_c G_c of rows [first, last).
  void score_rows(const float* col, int64_t first, int64_t last) {
    for (int64_t b = 0; b < M; b += LANES) {
      Vec right[R];
#pragma GCC unroll 8
      for (int64_t j = 0; j < R; j++) right[j] = load(col + j * M + b);
      for (int64_t a = first; a < last; a++) {
        Vec total{};
#pragma GCC unroll 8
        for (int64_t c = 0; c < C; c++) {
          Vec g = left_[c * R * PADDED + a] * right[0];
#pragma GCC unroll 8
          for (int64_t j = 1; j < R; j++) g += left_[(c * R + j) * PADDED + a] * right[j];
          total = c == 0 ? g : total + g;
        }
        // A last vector that reaches past the row's end would spoil the next row.
        if (b + LANES <= M) store(grid_ + (a - first) * M + b, total);
        else store_first(grid_ + (a - first) * M + b, total, static_cast<int>(M - b));
      }
    }
  }

  alignas(64) float left_[C * R * PADDED];  // row · core, [C,R,M]
  alignas(64) float grid_[RUN_ROWS * M + LANES];
  alignas(64) float values_[K];
  TopSelection<RUN_ROWS * M, K> selection_;
  typename TopSelection<RUN_ROWS * M, K>::Best best_;
};

// Memory of one worker.
template <int64_t M, int64_t R, int64_t C, int64_t K>
struct GridMemory {
  GridSelection<M, R, C, K> selection;
  float row[R * M + LANES], col[R * M + LANES];  // [R,M]
};

template <int64_t M, int64_t R, int64_t C, int64_t K>
constexpr size_t grid_topk_scratch() {
  return sizeof(GridMemory<M, R, C, K>);
}

// row, col [T,H,M,R], core [H,C,R,R] → position [T,H,K] (a*M + b), scores [T,H,K,C]. G_c[a,b] = row[a] core_c col[b]ᵀ;
// the K places of largest Σ_c G_c (f32 sum in core order), in topk order. 1 ≤ K ≤ M*M.
template <int64_t H, int64_t M, int64_t R, int64_t C, int64_t K>
void grid_topk(Pool& pool, int64_t T, const float* row, int64_t ldrow, const float* col, int64_t ldcol, const float* core,
               int32_t* position, int64_t ldp, float* scores, int64_t lds) {
  static_assert(1 <= K && K <= M * M, "K places of the grid");
  pool.parallel(T * H, [&](int64_t piece, int worker) {
    const int64_t t = piece / H, h = piece % H;
    auto& memory = *reinterpret_cast<GridMemory<M, R, C, K>*>(pool.scratch(worker));
    for (int64_t m = 0; m < M; m++)
      for (int64_t r = 0; r < R; r++) {
        memory.row[r * M + m] = row[t * ldrow + (h * M + m) * R + r];
        memory.col[r * M + m] = col[t * ldcol + (h * M + m) * R + r];
      }
    memory.selection.select(memory.row, memory.col, core + h * C * R * R, position + t * ldp + h * K, scores + t * lds + h * K * C);
  });
}

}  // namespace ultramem
