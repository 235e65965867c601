// Rank scores of selected keys: gathers key rows and takes their dot products with the query.
#pragma once
#include "device.cuh"
#include "floats.cuh"

namespace ultramem::cuda {

// Elements of a query that are held in shared memory at once, per side.
template <int R, int D, int QUERY_RANK>
struct RankQuery {
  static constexpr int RANKS = QUERY_RANK == 0 ? 1 : R;
  static constexpr int MOST = 1024 / RANKS / 8 * 8;  // so that every stage begins where a run does
  static constexpr int STAGE = D < MOST ? D : MOST;
  static constexpr int PITCH = (STAGE + 7) / 8 * 8;
  static constexpr int SIZE = RANKS * PITCH;
};

// One side of a token and head: its query, its keys (N, R, D), its M clamped choices in shared memory, and where the scores go.
template <class Q, class K, class Y>
struct RankSide {
  const Q* q;
  const K* keys;
  const int* chosen;
  Y* out;
};

// Scores of SIDES sides at once by the WARPS warps of a block; out (M, R), or (R, M) when RANK_MAJOR. Eight lanes share a
// row, so that its bytes are read once and in whole sectors. `stage`: shared, SIDES · SIZE. Ends without a barrier.
template <int SIDES, int R, int D, int M, int QUERY_RANK, bool RANK_MAJOR, int VEC, int WARPS, class Q,
          class K, class Y>
__device__ inline void rank_scores(const RankSide<Q, K, Y> (&sides)[SIDES], Q* stage) {
  using Query = RankQuery<R, D, QUERY_RANK>;
  constexpr int LANES = 8, GROUPS = 32 / LANES, COUNT = SIDES * M * R;
  const int lane = int(threadIdx.x & 31), warp = int(threadIdx.x / 32), sub = lane % LANES;
  for (int start = 0; start < D; start += Query::STAGE) {
    const int width = D - start < Query::STAGE ? D - start : Query::STAGE;
    if (start > 0) __syncthreads();
#pragma unroll
    for (int s = 0; s < SIDES; s++)
#pragma unroll 1
      for (int r = 0; r < Query::RANKS; r++)
        for (int d = int(threadIdx.x) * VEC; d < width; d += WARPS * 32 * VEC)
          copy_run<VEC>(stage + s * Query::SIZE + r * Query::PITCH + d, sides[s].q + r * QUERY_RANK + start + d);
    __syncthreads();
    for (int first = warp * GROUPS; first < COUNT; first += WARPS * GROUPS) {
      const int i = first + lane / LANES < COUNT ? first + lane / LANES : COUNT - 1;
      const bool second = SIDES > 1 && i >= M * R;
      const K* keys = second ? sides[SIDES - 1].keys : sides[0].keys;
      const int* chosen = second ? sides[SIDES - 1].chosen : sides[0].chosen;
      Y* out = second ? sides[SIDES - 1].out : sides[0].out;
      const int m = (second ? i - M * R : i) / R, r = (second ? i - M * R : i) % R;
      const K* row = keys + ((long long)(chosen[m]) * R + r) * D + start;
      const Q* with = stage + (second ? Query::SIZE : 0) + (QUERY_RANK == 0 ? 0 : r * Query::PITCH);
      float sum = 0;
      if (first + lane / LANES < COUNT) {
#pragma unroll 4
        for (int d = sub * VEC; d < width; d += LANES * VEC) sum = dot_floats<VEC>(with + d, row + d, sum);
      }
      sum = lanes_sum<LANES>(sum);
      if (sub == 0 && first + lane / LANES < COUNT) {
        Y* to = out + (RANK_MAJOR ? r * M + m : m * R + r);
        store_float(to, start == 0 ? sum : load_float(to) + sum);
      }
    }
  }
}

template <int N>
__device__ inline int clamped_key(int index) {
  return index < 0 ? 0 : index >= N ? N - 1 : index;
}

// q: query of (token, head h, rank ρ) starts at t*LDQ + h*QUERY_HEAD + ρ*QUERY_RANK (shared [T,D]: 0, 0; per rank [T,R,D]:
// 0, D; per head [T,H,D]: D, 0). keys (H, N, R, D), index (T, H, M), token stride LDI → y (T, H, M, R), token stride LDY.
// Grid: tokens, H; 256 threads.
template <int H, int N, int R, int D, int M, int QUERY_HEAD, int QUERY_RANK, int LDQ, int LDI, int LDY, int VEC, class Q,
          class K, class Y>
__device__ inline void gather_dot(int tokens, const Q* q, const K* keys, const int* index, Y* y) {
  constexpr int WARPS = 8;
  __shared__ __align__(16) Q stage[RankQuery<R, D, QUERY_RANK>::SIZE];
  __shared__ int chosen[M];
  const long long t = blockIdx.x;
  const int h = int(blockIdx.y);
  if (t >= tokens) return;
  for (int m = int(threadIdx.x); m < M; m += WARPS * 32) chosen[m] = clamped_key<N>(index[t * LDI + h * M + m]);
  const RankSide<Q, K, Y> sides[1] = {{q + t * LDQ + h * QUERY_HEAD, keys + (long long)(h) * N * R * D, chosen, y + t * LDY + h * M * R}};
  rank_scores<1, R, D, M, QUERY_RANK, false, VEC, WARPS>(sides, stage);
}

}  // namespace ultramem::cuda
