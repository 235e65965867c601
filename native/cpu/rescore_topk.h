// Stage 2 in one pass (UltraMem §1 steps 8-11): rank scores of the selected keys, core scores over the M×M grid, top K,
// addresses, shuffle. Nothing but slots and scores is written.
#pragma once
#include "ask_rows.h"
#include "extents.h"
#include "gather_dot.h"
#include "grid_topk.h"

namespace ultramem {

// A value table whose rows will be read next: they are asked for as soon as a slot is known, those of as many tokens as fit the
// second-level cache; in a file, the pages of all. base null: not.
struct Prefetch {
  const void* base;
  int64_t rows;  // row = slot mod rows
  int64_t row_bytes;
  bool in_file;
};

// Memory of one worker.
template <int64_t R, int64_t M, int64_t C, int64_t K>
struct RescoreMemory {
  GridSelection<M, R, C, K> grid;
  float row[R * M + LANES], col[R * M + LANES];  // [R,M]
  int32_t position[K];
};

constexpr int64_t kPrefetchBytes = 1 << 20;

template <int64_t H, int64_t N, int64_t R, int64_t D, int64_t M, int64_t C, int64_t K>
constexpr size_t rescore_topk_scratch() {
  return sizeof(RescoreMemory<R, M, C, K>);
}

// row_index, col_index [T,H,M] (into the N keys of each side), q_row, q_col (QueryHead, QueryRank as gather_dot),
// keys_row, keys_col [H,N,R,D], core [H,C,R,R], shuffle [N*N] or null → slot [T,H,K] = row_index*N + col_index, then
// shuffle[slot]; scores [T,H,K,C]. Indices are clamped.
template <int64_t H, int64_t N, int64_t R, int64_t D, int64_t M, int64_t C, int64_t K, int64_t QueryHead, int64_t QueryRank,
          class E>
void rescore_topk(Pool& pool, int64_t T, const int32_t* row_index, int64_t ldri, const int32_t* col_index, int64_t ldci,
                  const float* q_row, int64_t ldqr, const float* q_col, int64_t ldqc, const E* keys_row,
                  const E* keys_col, const float* core, const int32_t* shuffle, int32_t* slot, int64_t ldslot,
                  float* scores, int64_t ldscores, Prefetch next) {
  const auto clamped = [](int32_t i) { return i < 0 ? 0 : i >= N ? N - 1 : static_cast<int64_t>(i); };
  const int64_t ahead = next.base && next.rows > 0 ? kPrefetchBytes / (H * K * next.row_bytes) : 0;  // tokens
  pool.parallel(T * H, [&](int64_t piece, int worker) {
    const int64_t t = piece / H, h = piece % H;
    auto& memory = *reinterpret_cast<RescoreMemory<R, M, C, K>*>(pool.scratch(worker));
    const int32_t* rows = row_index + t * ldri + h * M;
    const int32_t* cols = col_index + t * ldci + h * M;
    gather_dot_rows<N, R, D, M, QueryRank, true>(q_row + t * ldqr + h * QueryHead, keys_row + h * (N * R * D), rows, memory.row);
    gather_dot_rows<N, R, D, M, QueryRank, true>(q_col + t * ldqc + h * QueryHead, keys_col + h * (N * R * D), cols, memory.col);
    memory.grid.select(memory.row, memory.col, core + h * C * R * R, memory.position, scores + t * ldscores + h * K * C);
    int32_t* to = slot + t * ldslot + h * K;
    for (int64_t k = 0; k < K; k++) {
      const int64_t address = clamped(rows[memory.position[k] / M]) * N + clamped(cols[memory.position[k] % M]);
      to[k] = shuffle ? shuffle[address] : static_cast<int32_t>(address);
    }
    if (next.base && next.in_file) ask_pages(next.base, next.rows, next.row_bytes, to, K);
    if (t < ahead)
      for (int64_t k = 0; k < K; k++) {
        const char* from = static_cast<const char*>(next.base) + to[k] % next.rows * next.row_bytes;
        for (int64_t i = 0; i < next.row_bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
      }
  });
}

}  // namespace ultramem
