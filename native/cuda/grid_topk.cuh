// Stage 2 of the retrieval (UltraMem §1 steps 8-9): bilinear core scores over the M×M grid, and their top K. The grid's values
// stay in registers.
#pragma once
#include "device.cuh"
#include "floats.cuh"
#include "topk.cuh"

namespace ultramem::cuda {

// Shared memory of one token and head.
template <int M, int R, int C, int K, int WARPS>
struct GridMemory {
  static_assert(M <= 256 && R <= 8 && C <= 8, "a grid on a device");
  // Of K cells, or of M keys before. The result is left in the first.
  Key lists[WARPS / 2 * (TopList<K>::SIZE > TopList<M>::SIZE ? TopList<K>::SIZE : TopList<M>::SIZE)];
  float row[R * M], col[R * M];  // [R,M]
  float left[R * M];             // row · Σ_c core_c, [R,M]
  float core[C * R * R];
};

// Σ_i row[i]·core[i][j] for the row at `row`, whose entries are M apart.
template <int M, int R>
__device__ inline float turned_row(const float* core, int j, const float* row) {
  float sum = core[j] * row[0];
#pragma unroll
  for (int i = 1; i < R; i++) sum += core[i * R + j] * row[i * M];
  return sum;
}

// memory.row and memory.col → the K best cells a*M + b in memory.lists, in order. Begins and ends with a barrier.
template <int M, int R, int C, int K, int WARPS, class W>
__device__ inline void select_cells(GridMemory<M, R, C, K, WARPS>& memory, const W* core) {
  const int thread = int(threadIdx.x), lane = thread & 31, warp = thread / 32;
  for (int i = thread; i < C * R * R; i += WARPS * 32) memory.core[i] = load_float(core + i);
  __syncthreads();
  for (int i = thread; i < R * M; i += WARPS * 32) {
    const int j = i / M, a = i % M;
    float sum = turned_row<M, R>(memory.core, j, memory.row + a);
    for (int c = 1; c < C; c++) sum += turned_row<M, R>(memory.core + c * R * R, j, memory.row + a);
    memory.left[i] = sum;
  }
  __syncthreads();

  TopList<K> list;
  list.clear();
  for (int first = warp * 32; first < M * M; first += WARPS * 32) {
    const int cell = first + lane;
    Key key = 0;
    if (cell < M * M) {
      const int a = cell / M, b = cell % M;
      float sum = memory.left[a] * memory.col[b];
#pragma unroll
      for (int j = 1; j < R; j++) sum += memory.left[j * M + a] * memory.col[j * M + b];
      key = make_key(sum, cell);
    }
    list.offer(key);
  }
  merge_warps<WARPS>(list, memory.lists);
  if (warp == 0) {
    __syncwarp();  // the last list merged lay where the result goes
    list.store(memory.lists);
  }
  __syncthreads();
}

// Each core's own score of the K cells: scores (K, C).
template <int M, int R, int C, int K, int WARPS, class S>
__device__ inline void write_scores(const GridMemory<M, R, C, K, WARPS>& memory, S* scores) {
  for (int i = int(threadIdx.x); i < K * C; i += WARPS * 32) {
    const int cell = key_index(memory.lists[i / C]), a = cell / M, b = cell % M;
    const float* core = memory.core + i % C * R * R;
    float sum = turned_row<M, R>(core, 0, memory.row + a) * memory.col[b];
#pragma unroll
    for (int j = 1; j < R; j++) sum += turned_row<M, R>(core, j, memory.row + a) * memory.col[j * M + b];
    store_float(scores + i, sum);
  }
}

// row, col (T, H, M, R), core (H, C, R, R) → position (T, H, K) (a*M + b), scores (T, H, K, C). G_c[a,b] = row[a] core_c col[b]ᵀ;
// the K places of largest Σ_c G_c, in topk order. Grid: tokens, H; 256 threads.
template <int H, int M, int R, int C, int K, int LD_ROW, int LD_COL, int LD_POSITION, int LD_SCORES, class X, class Y, class W,
          class S>
__device__ inline void grid_topk(int tokens, const X* row, const Y* col, const W* core, int* position, S* scores) {
  static_assert(1 <= K && K <= M * M, "K places of the grid");
  constexpr int WARPS = 8;
  __shared__ GridMemory<M, R, C, K, WARPS> memory;
  const long long t = blockIdx.x;
  const int h = int(blockIdx.y);
  if (t >= tokens) return;
  for (int i = int(threadIdx.x); i < M * R; i += WARPS * 32) {
    memory.row[i % R * M + i / R] = load_float(row + t * LD_ROW + h * M * R + i);
    memory.col[i % R * M + i / R] = load_float(col + t * LD_COL + h * M * R + i);
  }
  select_cells(memory, core + h * C * R * R);
  for (int k = int(threadIdx.x); k < K; k += WARPS * 32) position[t * LD_POSITION + h * K + k] = key_index(memory.lists[k]);
  write_scores(memory, scores + t * LD_SCORES + h * K * C);
}

}  // namespace ultramem::cuda
