// score_topk of several tokens where queries and keys are bf16: products of tiles instead of single ones, keys on their way to
// shared memory while the last ones are multiplied.
#pragma once
#include "device.cuh"
#include "floats.cuh"
#include "mma.cuh"
#include "score_topk.cuh"
#include "topk.cuh"

namespace ultramem::cuda {

// Shared memory of score_topk_mma: lists, queries, STAGES slabs of KEYS keys by DEPTH, scores. What lies apart by a pitch is
// read and written by the lanes of a warp without meeting a bank twice.
template <int D, int K, int TOKENS>
struct ScoreMmaTile {
  static constexpr int KEYS = 64, DEPTH = D <= 32 ? 32 : 64, STAGES = 3;
  static constexpr int SLICES = ceil_div(D, DEPTH);
  static constexpr int LISTS = TOKENS * TopList<K>::SIZE;
  static constexpr int QUERY_PITCH = SLICES * DEPTH + 8, KEY_PITCH = DEPTH + 8, SCORE_PITCH = KEYS + 8;
};

// COUNT elements on their way to shared memory, or zeros: there after cp_async_wait and a barrier.
template <int COUNT>
__device__ inline void stage_run(BF16* to, const BF16* from, bool real) {
  if constexpr (COUNT == 8) {
    cp_async16(to, from, real ? 16 : 0);
  } else {
    float run[COUNT] = {};
    if (real) copy_floats<COUNT>(run, from);
    store_floats<COUNT>(to, run);
  }
}

// The 16 × 16 elements of `a` at rows PITCH apart, and the 8 columns of `b`, as mma_bf16 has them.
template <int PITCH>
__device__ inline void load_rows(unsigned (&a)[4], const BF16* at) {
  const int lane = int(threadIdx.x & 31);
  const BF16* own = at + lane / 4 * PITCH + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; i++) a[i] = *reinterpret_cast<const unsigned*>(own + i % 2 * 8 * PITCH + i / 2 * 8);
}
template <int PITCH>
__device__ inline void load_columns(unsigned (&b)[2], const BF16* at) {
  const int lane = int(threadIdx.x & 31);
  const BF16* own = at + lane / 4 * PITCH + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 2; i++) b[i] = *reinterpret_cast<const unsigned*>(own + i * 8);
}

// As score_topk_tile, with the same grid. A warp has 16 tokens by KEYS · TOKENS / 128 keys.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, int TOKENS>
__device__ inline void score_topk_mma(int tokens, const BF16* q, const BF16* keys, float* values, int* index, int* partial) {
  using Tile = ScoreMmaTile<D, K, TOKENS>;
  constexpr int THREADS = 256, WARPS = 8, KEYS = Tile::KEYS, DEPTH = Tile::DEPTH, STAGES = Tile::STAGES, SLICES = Tile::SLICES;
  constexpr int PITCH = Tile::SCORE_PITCH, SLAB = KEYS * Tile::KEY_PITCH, SIZE = TopList<K>::SIZE;
  constexpr int ABREAST = WARPS / (TOKENS / 16), COLUMNS = KEYS / ABREAST / 8;  // warps of the same tokens; columns of a warp, by 8
  constexpr int PART = ceil_div(ceil_div(N, PARTS), KEYS) * KEYS;

  const int head = int(blockIdx.y) % H, part = int(blockIdx.z), begin = int(blockIdx.x) * TOKENS;
  if (begin >= tokens) return;
  const int own = tokens - begin < TOKENS ? tokens - begin : TOKENS;
  Key* lists = reinterpret_cast<Key*>(dynamic_shared);
  BF16* queries = reinterpret_cast<BF16*>(lists + Tile::LISTS);
  BF16* slabs = queries + TOKENS * Tile::QUERY_PITCH;
  float* scores = reinterpret_cast<float*>(slabs + STAGES * SLAB);
  const int thread = int(threadIdx.x), lane = thread & 31, warp = thread / 32;
  const int row = warp / ABREAST * 16, column = warp % ABREAST * COLUMNS * 8;
  const BF16* from = q + (long long)(begin) * LDQ + (PER_HEAD ? head * D : 0);
  const BF16* table = keys + (long long)(head) * N * D;
  const int start = part * PART, end = start + PART < N ? start + PART : N;
  const int steps = end > start ? ceil_div(end - start, KEYS) * SLICES : 0;

  for (int i = thread; i < Tile::LISTS; i += THREADS) lists[i] = 0;
  constexpr int PER_ROW = SLICES * DEPTH / VEC;
  for (int i = thread; i < TOKENS * PER_ROW; i += THREADS) {
    const int t = i / PER_ROW, d = i % PER_ROW * VEC;
    const bool real = t < own && d < D;
    stage_run<VEC>(queries + t * Tile::QUERY_PITCH + d, real ? from + (long long)(t) * LDQ + d : from, real);
  }
  // Slab `step`: a slice of DEPTH of KEYS keys. Every step closes a group, so that the last ones are waited for like all.
  const auto fetch = [&](int step) {
    if (step < steps) {
      BF16* slab = slabs + step % STAGES * SLAB;
#pragma unroll
      for (int i = thread; i < KEYS * DEPTH / VEC; i += THREADS) {
        const int k = i / (DEPTH / VEC), d = i % (DEPTH / VEC) * VEC;
        const int key = start + step / SLICES * KEYS + k, at = step % SLICES * DEPTH + d;
        const bool real = key < end && at < D;
        stage_run<VEC>(slab + k * Tile::KEY_PITCH + d, real ? table + (long long)(key) * D + at : table, real);
      }
    }
    cp_async_commit();
  };
#pragma unroll
  for (int step = 0; step < STAGES - 1; step++) fetch(step);

  float sums[COLUMNS][4] = {};
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    fetch(step + STAGES - 1);  // where the last slab lay
    const BF16* slab = slabs + step % STAGES * SLAB + column * Tile::KEY_PITCH;
    const BF16* query = queries + row * Tile::QUERY_PITCH + step % SLICES * DEPTH;
#pragma unroll
    for (int d = 0; d < DEPTH; d += 16) {
      unsigned a[4], b[2];
      load_rows<Tile::QUERY_PITCH>(a, query + d);
#pragma unroll
      for (int c = 0; c < COLUMNS; c++) {
        load_columns<Tile::KEY_PITCH>(b, slab + c * 8 * Tile::KEY_PITCH + d);
        mma_bf16(sums[c], a, b);
      }
    }
    if (step % SLICES < SLICES - 1) continue;
    // Lists read the last scores before the barrier above.
#pragma unroll
    for (int c = 0; c < COLUMNS; c++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float* to = scores + (row + lane / 4 + half * 8) * PITCH + column + c * 8 + lane % 4 * 2;
        store_floats<2>(to, sums[c] + half * 2);
        sums[c][half * 2] = sums[c][half * 2 + 1] = 0;
      }
    __syncthreads();
    const int first = start + step / SLICES * KEYS;
#pragma unroll 1
    for (int t = warp; t < own; t += WARPS) offer_scores<K>(lists + t * SIZE, scores + t * PITCH, first, end);
  }
  __syncthreads();
#pragma unroll 1
  for (int t = warp; t < own; t += WARPS) {
    TopList<K> list;
    list.load(lists + t * SIZE);
    write_best<K, PARTS>(list, (long long)(begin + t) * H + head, part, values, index, partial);
  }
}

// As score_topk_one_pair.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, int TOKENS>
__device__ inline void score_topk_mma_pair(int tokens, const BF16* q_row, const BF16* keys_row, float* values_row,
                                           int* index_row, int* partial_row, const BF16* q_col, const BF16* keys_col,
                                           float* values_col, int* index_col, int* partial_col) {
  const bool col = int(blockIdx.y) >= H;
  score_topk_mma<H, N, D, K, PER_HEAD, LDQ, PARTS, VEC, TOKENS>(tokens, col ? q_col : q_row, col ? keys_col : keys_row,
                                                                col ? values_col : values_row, col ? index_col : index_row,
                                                                col ? partial_col : partial_row);
}

}  // namespace ultramem::cuda
