// Stage 2 in one pass (UltraMem §1 steps 8-11): rank scores of the selected keys, core scores over the M×M grid, top K,
// addresses, shuffle. Nothing but slots and scores is written.
#pragma once
#include "device.cuh"
#include "gather_dot.cuh"
#include "grid_topk.cuh"
#include "score_topk.cuh"

namespace ultramem::cuda {

// row_index, col_index (T, H, M) into the N keys of each side, or, where PARTS > 0, score_topk's partial lists (T, H, PARTS, M)
// that are still to be merged; q_row, q_col (QUERY_HEAD, QUERY_RANK as gather_dot), keys_row, keys_col (H, N, R, D), core
// (H, C, R, R), shuffle (N*N) or null → slot (T, H, K) = row_index*N + col_index, then shuffle[slot]; scores (T, H, K, C).
// LD…: token strides. Grid: tokens, H; 256 threads.
template <int H, int N, int R, int D, int M, int C, int K, int QUERY_HEAD, int QUERY_RANK, int LD_ROW_INDEX, int LD_COL_INDEX,
          int LDQ_ROW, int LDQ_COL, int LD_SLOT, int LD_SCORES, int PARTS, int VEC, class QR, class QC, class KR, class KC,
          class W, class S>
__device__ inline void rescore_topk(int tokens, const int* row_index, const int* col_index, const QR* q_row, const QC* q_col,
                                    const KR* keys_row, const KC* keys_col, const W* core, const int* shuffle, int* slot,
                                    S* scores) {
  static_assert(1 <= K && K <= M * M, "K places of the grid");
  constexpr int WARPS = 8, THREADS = WARPS * 32;
  using Query = RankQuery<R, D, QUERY_RANK>;
  constexpr bool alike = same_type<QR, QC> && same_type<KR, KC>;
  __shared__ GridMemory<M, R, C, K, WARPS> memory;
  __shared__ __align__(16) QR stage_row[(alike ? 2 : 1) * Query::SIZE];
  __shared__ int chosen[2 * M];
  const long long t = blockIdx.x;
  const int h = int(blockIdx.y), thread = int(threadIdx.x);
  if (t >= tokens) return;

  if constexpr (PARTS == 0) {
    for (int m = thread; m < M; m += THREADS) {
      chosen[m] = clamped_key<N>(row_index[t * LD_ROW_INDEX + h * M + m]);
      chosen[M + m] = clamped_key<N>(col_index[t * LD_COL_INDEX + h * M + m]);
    }
  } else {
#pragma unroll 1
    for (int side = 0; side < 2; side++) {
      TopList<M> list;
      merge_parts<M, PARTS, WARPS>(list, side == 0 ? row_index : col_index, t * H + h, memory.lists);
      if (thread < 32) list.each([&](int rank, Key key) { chosen[side * M + rank] = clamped_key<N>(key_index(key)); });
      __syncthreads();
    }
  }
  const long long table = (long long)(h) * N * R * D;
  const RankSide<QR, KR, float> row = {q_row + t * LDQ_ROW + h * QUERY_HEAD, keys_row + table, chosen, memory.row};
  const RankSide<QC, KC, float> col = {q_col + t * LDQ_COL + h * QUERY_HEAD, keys_col + table, chosen + M, memory.col};
  if constexpr (alike) {
    rank_scores<2, R, D, M, QUERY_RANK, true, VEC, WARPS>({row, col}, stage_row);
  } else {
    __shared__ __align__(16) QC stage_col[Query::SIZE];
    rank_scores<1, R, D, M, QUERY_RANK, true, VEC, WARPS>({row}, stage_row);
    rank_scores<1, R, D, M, QUERY_RANK, true, VEC, WARPS>({col}, stage_col);
  }
  select_cells(memory, core + h * C * R * R);
  for (int k = thread; k < K; k += THREADS) {
    const int cell = key_index(memory.lists[k]);
    const int address = chosen[cell / M] * N + chosen[M + cell % M];
    slot[t * LD_SLOT + h * K + k] = shuffle ? shuffle[address] : address;
  }
  write_scores(memory, scores + t * LD_SCORES + h * K * C);
}

}  // namespace ultramem::cuda
