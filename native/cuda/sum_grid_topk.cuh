// Stage 2 of product keys (UltraMem §3): the best K sums of two sorted lists, their addresses, shuffle.
#pragma once
#include "device.cuh"
#include "floats.cuh"
#include "topk.cuh"

namespace ultramem::cuda {

// row, col (T, H, M), each in the order of topk, row_index, col_index (T, H, M) into the N keys of each side, shuffle (N*N) or null →
// slot (T, H, K) = row_index*N + col_index of the K cells of largest row + col, in topk order, then shuffle[slot]; scores (T, H, K).
// A warp per token and head, WARPS in a block. Of sorted lists a cell (a,b) with (a+1)(b+1) > K stands behind K others and is not
// looked at; where an end is infinite or NaN, sums may be NaN anywhere, and all cells are. LD…: token strides.
template <int H, int N, int M, int K, int LD_ROW, int LD_COL, int LD_ROW_INDEX, int LD_COL_INDEX, int LD_SLOT, int LD_SCORES,
          int WARPS, class X, class Y, class S>
__device__ inline void sum_grid_topk(int tokens, const X* row, const Y* col, const int* row_index, const int* col_index,
                                     const int* shuffle, int* slot, S* scores) {
  static_assert(1 <= K && K <= M * M, "K places of the grid");
  const long long piece = (long long)(blockIdx.x) * WARPS + threadIdx.x / 32;
  if (piece >= (long long)(tokens) * H) return;
  const long long t = piece / H;
  const int h = int(piece % H), lane = int(threadIdx.x & 31);
  const X* a = row + t * LD_ROW + h * M;
  const Y* b = col + t * LD_COL + h * M;
  const float ends = (load_float(a) - load_float(a + M - 1)) + (load_float(b) - load_float(b + M - 1));
  const bool all = !(ends - ends == 0.0f);
  const auto width = [&](int i) { return all ? M : K / (i + 1) < M ? K / (i + 1) : M; };

  TopList<K> list;
  list.clear();
  int i = 0, j = lane;  // this lane's cell; the cells of a step are 32 neighbours in the order of places
  while (i < M && width(i) > 0 && j >= width(i)) j -= width(i++);
  while (__any_sync(ALL_LANES, i < M && width(i) > 0)) {
    const bool inside = i < M && width(i) > 0;
    list.offer(inside ? make_key(load_float(a + i) + load_float(b + j), i * M + j) : 0);
    if (!inside) continue;
    j += 32;
    while (i < M && width(i) > 0 && j >= width(i)) j -= width(i++);
  }
  list.each([&](int rank, Key key) {
    const int cell = key_index(key), x = cell / M, y = cell % M;
    const int first = row_index[t * LD_ROW_INDEX + h * M + x], second = col_index[t * LD_COL_INDEX + h * M + y];
    const long long address = (long long)(first < 0 ? 0 : first >= N ? N - 1 : first) * N + (second < 0 ? 0 : second >= N ? N - 1 : second);
    slot[t * LD_SLOT + h * K + rank] = shuffle ? shuffle[address] : int(address);
    store_float(scores + t * LD_SCORES + h * K + rank, load_float(a + x) + load_float(b + y));
  });
}

}  // namespace ultramem::cuda
