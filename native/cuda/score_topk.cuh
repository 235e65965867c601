// Scores of every key and the top K of them per token and head, without ever writing the scores (UltraMem §1 rows 5–7, with
// u and v folded into the keys as in §6.1). Keys are split into parts; a block finds the K best of its part, and
// score_topk_merge those of all parts.
#pragma once
#include "device.cuh"
#include "floats.cuh"
#include "topk.cuh"

namespace ultramem::cuda {

// Writes the K best of a row of (token, head): the result where there is one part, else a partial list of keys.
template <int K, int PARTS>
__device__ inline void write_best(const TopList<K>& list, long long row, int part, float* values, int* index, int* partial) {
  list.each([&](int rank, Key key) {
    if constexpr (PARTS == 1) {
      values[row * K + rank] = key_value(key);
      index[row * K + rank] = key_index(key);
    } else {
      reinterpret_cast<Key*>(partial)[(row * PARTS + part) * K + rank] = key;
    }
  });
}

// Offers the scores of 64 keys from `first` on to the running list of a token, both in shared memory, by a whole warp.
template <int K>
__device__ inline void offer_scores(Key* memory, const float* scores, int first, int end) {
  const int lane = int(threadIdx.x & 31);
  const Key last = memory[K - 1];
  const Key low = first + lane < end ? make_key(scores[lane], first + lane) : 0;
  const Key high = first + 32 + lane < end ? make_key(scores[32 + lane], first + 32 + lane) : 0;
  if (!__any_sync(ALL_LANES, low > last || high > last)) return;
  TopList<K> list;
  list.load(memory);
#pragma unroll 1  // or a list of 256 does not fit beside what its kernel holds
  for (int half = 0; half < 2; half++) list.offer(half == 0 ? low : high);
  __syncwarp();  // all lanes have read `last`
  list.store(memory);
}

// One token. q (tokens, D), or (tokens, H, D) when PER_HEAD, token stride LDQ; keys (H, N, D) → values, index (tokens, H, K),
// or partial (tokens, H, PARTS, K) keys of topk.cuh. VEC: elements per load. Grid: PARTS, H, tokens; 256 threads.
// Eight lanes share a key, so that a key's bytes are read once and in whole sectors.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, class Q, class W>
__device__ inline void score_topk_one(int tokens, const Q* q, const W* keys, float* values, int* index, int* partial) {
  constexpr int WARPS = 8, LANES = 8, AT_ONCE = 32 / LANES * WARPS;
  constexpr int PART = ceil_div(N, PARTS);
  constexpr int TILE = PART <= 32 ? 32 : PART <= 64 ? 64 : PART <= 128 ? 128 : 256;
  constexpr int ROUNDS = TILE / AT_ONCE, OFFERING = TILE / 32;
  constexpr int STAGE = D < 2048 ? D : 2048;
  __shared__ __align__(16) Q query[STAGE];
  __shared__ float scores[TILE];
  __shared__ Key memory[OFFERING > 1 ? OFFERING / 2 * TopList<K>::SIZE : 1];

  const int part = int(blockIdx.x), head = int(blockIdx.y) % H, token = int(blockIdx.z);
  if (token >= tokens) return;
  const int lane = int(threadIdx.x & 31), warp = int(threadIdx.x / 32);
  const int sub = lane % LANES, group = warp * (32 / LANES) + lane / LANES;
  const Q* from = q + (long long)(token) * LDQ + (PER_HEAD ? head * D : 0);
  const W* table = keys + (long long)(head) * N * D;
  const int end = (part + 1) * PART < N ? (part + 1) * PART : N;

  TopList<K> list;
  list.clear();
  for (int first = part * PART; first < end; first += TILE) {
    float sums[ROUNDS] = {};
    for (int start = 0; start < D; start += STAGE) {
      const int width = D - start < STAGE ? D - start : STAGE;
      if (STAGE < D || first == part * PART) {
        if (STAGE < D) __syncthreads();
        for (int d = int(threadIdx.x) * VEC; d < width; d += WARPS * 32 * VEC) copy_run<VEC>(query + d, from + start + d);
        __syncthreads();
      }
#pragma unroll(ROUNDS <= 2 ? 3 : 1)
      for (int d = sub * VEC; d < width; d += LANES * VEC)
#pragma unroll
        for (int r = 0; r < ROUNDS; r++) {
          const int key = first + r * AT_ONCE + group;
          if (key < end) sums[r] = dot_floats<VEC>(query + d, table + (long long)(key) * D + start + d, sums[r]);
        }
    }
#pragma unroll
    for (int r = 0; r < ROUNDS; r++) {
      const float sum = lanes_sum<LANES>(sums[r]);
      if (sub == 0) scores[r * AT_ONCE + group] = sum;
    }
    __syncthreads();
    if (warp < OFFERING) {
      const int key = first + warp * 32 + lane;
      list.offer(key < end ? make_key(scores[warp * 32 + lane], key) : 0);
    }
    __syncthreads();
  }
  merge_warps<OFFERING>(list, memory);
  if (warp == 0) write_best<K, PARTS>(list, (long long)(token) * H + head, part, values, index, partial);
}

// Where value `i` of a row of WIDTH stands in shared memory: groups of four are mixed by depth d, so that neither reading
// along a row nor writing down the depth meets its own bank.
template <int WIDTH>
__device__ inline int mixed(int d, int i) {
  constexpr int GROUPS = WIDTH / 4 < 8 ? WIDTH / 4 : 8;
  return d * WIDTH + ((i / 4 ^ (d / 4 & (GROUPS - 1))) * 4 | (i & 3));
}

// Both sides of a retrieval in one launch: blocks of the upper half of the grid's second axis take the column side.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, class Q, class W>
__device__ inline void score_topk_one_pair(int tokens, const Q* q_row, const W* keys_row, float* values_row,
                                           int* index_row, int* partial_row, const Q* q_col, const W* keys_col,
                                           float* values_col, int* index_col, int* partial_col) {
  const bool col = int(blockIdx.y) >= H;
  score_topk_one<H, N, D, K, PER_HEAD, LDQ, PARTS, VEC>(tokens, col ? q_col : q_row, col ? keys_col : keys_row,
                                                        col ? values_col : values_row, col ? index_col : index_row,
                                                        col ? partial_col : partial_row);
}

// Shared bytes of score_topk_tile: queries of the tile's tokens; scores, which take the place of keys; a list per token.
template <int D, int K, int TOKENS>
struct ScoreTile {
  static constexpr int KEYS = 64, DEPTH = 32;
  static constexpr int LISTS = TOKENS * TopList<K>::SIZE;
  static constexpr int QUERIES = (D + DEPTH - 1) / DEPTH * DEPTH * TOKENS;
};

// Several tokens: a block holds the queries of TOKENS tokens and a running list for each while it walks over its part of the
// keys, so keys are read once per tile of tokens. Grid: tiles, H, PARTS; 256 threads. TOKENS: 16, 32 or 64.
// Dynamic shared memory: lists, queries, and the greater of DEPTH × KEYS and TOKENS × (KEYS + 1) floats.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, int TOKENS, class Q, class W>
__device__ inline void score_topk_tile(int tokens, const Q* q, const W* keys, float* values, int* index, int* partial) {
  using Tile = ScoreTile<D, K, TOKENS>;
  constexpr int THREADS = 256, WARPS = 8, KEYS = Tile::KEYS, DEPTH = Tile::DEPTH, SIZE = TopList<K>::SIZE;
  constexpr int OWN = TOKENS / 16;  // tokens of a thread, by 4 keys
  constexpr int PART = ceil_div(ceil_div(N, PARTS), KEYS) * KEYS;
  constexpr int LOADS = KEYS * DEPTH / VEC / THREADS;

  const int tile = int(blockIdx.x), head = int(blockIdx.y) % H, part = int(blockIdx.z);
  const int begin = tile * TOKENS;
  if (begin >= tokens) return;
  const int own = tokens - begin < TOKENS ? tokens - begin : TOKENS;
  Key* lists = reinterpret_cast<Key*>(dynamic_shared);
  float* queries = reinterpret_cast<float*>(lists + Tile::LISTS);
  float* area = queries + Tile::QUERIES;
  const int thread = int(threadIdx.x), warp = thread / 32;
  const int ty = thread / 16, tx = thread % 16;
  const Q* from = q + (long long)(begin) * LDQ + (PER_HEAD ? head * D : 0);
  const W* table = keys + (long long)(head) * N * D;
  const int end = (part + 1) * PART < N ? (part + 1) * PART : N;

  for (int i = thread; i < Tile::LISTS; i += THREADS) lists[i] = 0;
  constexpr int PADDED = Tile::QUERIES / TOKENS, PER_ROW = PADDED / VEC;
  for (int i = thread; i < TOKENS * PER_ROW; i += THREADS) {
    const int t = i / PER_ROW, d = i % PER_ROW * VEC;
    float loaded[VEC] = {};
    if (t < own && d < D) copy_floats<VEC>(loaded, from + (long long)(t) * LDQ + d);
#pragma unroll
    for (int v = 0; v < VEC; v++) queries[mixed<TOKENS>(d + v, t)] = loaded[v];
  }

  for (int first = part * PART; first < end; first += KEYS) {
    float sums[OWN][4] = {};
    float loaded[LOADS][VEC];
    // A thread's share of a slab of KEYS keys by DEPTH.
    const auto fetch = [&](int start) {
#pragma unroll
      for (int l = 0; l < LOADS; l++) {
        const int i = thread + l * THREADS, key = first + i / (DEPTH / VEC), d = start + i % (DEPTH / VEC) * VEC;
#pragma unroll
        for (int v = 0; v < VEC; v++) loaded[l][v] = 0;
        if (key < end && d < D) copy_floats<VEC>(loaded[l], table + (long long)(key) * D + d);
      }
    };
    fetch(0);
    for (int start = 0; start < D; start += DEPTH) {
      __syncthreads();
#pragma unroll
      for (int l = 0; l < LOADS; l++) {
        const int i = thread + l * THREADS;
#pragma unroll
        for (int v = 0; v < VEC; v++) area[mixed<KEYS>(i % (DEPTH / VEC) * VEC + v, i / (DEPTH / VEC))] = loaded[l][v];
      }
      __syncthreads();
      if (start + DEPTH < D) fetch(start + DEPTH);
#pragma unroll 8
      for (int d = 0; d < DEPTH; d++) {
        float a[OWN], b[4];
        copy_floats<OWN>(a, queries + mixed<TOKENS>(start + d, ty * OWN));
        copy_floats<4>(b, area + mixed<KEYS>(d, tx * 4));
#pragma unroll
        for (int t = 0; t < OWN; t++)
#pragma unroll
          for (int k = 0; k < 4; k++) sums[t][k] += a[t] * b[k];
      }
    }
    __syncthreads();
#pragma unroll
    for (int t = 0; t < OWN; t++)
#pragma unroll
      for (int k = 0; k < 4; k++) area[(ty * OWN + t) * (KEYS + 1) + tx * 4 + k] = sums[t][k];
    __syncthreads();
    for (int t = warp; t < own; t += WARPS) offer_scores<K>(lists + t * SIZE, area + t * (KEYS + 1), first, end);
  }
  __syncthreads();
  for (int t = warp; t < own; t += WARPS) {
    TopList<K> list;
    list.load(lists + t * SIZE);
    write_best<K, PARTS>(list, (long long)(begin + t) * H + head, part, values, index, partial);
  }
}

// As score_topk_one_pair.
template <int H, int N, int D, int K, bool PER_HEAD, int LDQ, int PARTS, int VEC, int TOKENS, class Q, class W>
__device__ inline void score_topk_tile_pair(int tokens, const Q* q_row, const W* keys_row, float* values_row,
                                            int* index_row, int* partial_row, const Q* q_col, const W* keys_col,
                                            float* values_col, int* index_col, int* partial_col) {
  const bool col = int(blockIdx.y) >= H;
  score_topk_tile<H, N, D, K, PER_HEAD, LDQ, PARTS, VEC, TOKENS>(tokens, col ? q_col : q_row, col ? keys_col : keys_row,
                                                                 col ? values_col : values_row, col ? index_col : index_row,
                                                                 col ? partial_col : partial_row);
}

// The best of PARTS partial lists, merged into warp 0's list. `memory`: shared, WARPS / 2 lists. All warps call it.
template <int K, int PARTS, int WARPS>
__device__ inline void merge_parts(TopList<K>& list, const int* partial, long long row, Key* memory) {
  const Key* lists = reinterpret_cast<const Key*>(partial) + row * PARTS * K;
  list.clear();
#pragma unroll 1
  for (int part = int(threadIdx.x / 32); part < PARTS; part += WARPS) list.merge_short(lists + part * K);
  merge_warps<WARPS>(list, memory);
}

// partial (tokens, H, PARTS, K) → values, index (tokens, H, K). Grid: tokens, H; WARPS warps.
template <int H, int K, int PARTS, int WARPS>
__device__ inline void score_topk_merge(int tokens, const int* partial, float* values, int* index) {
  __shared__ Key memory[WARPS > 1 ? WARPS / 2 * TopList<K>::SIZE : 1];
  if (int(blockIdx.x) >= tokens) return;
  const long long row = (long long)(blockIdx.x) * H + blockIdx.y;
  TopList<K> list;
  merge_parts<K, PARTS, WARPS>(list, partial, row, memory);
  if (threadIdx.x < 32) write_best<K, 1>(list, row, 0, values, index, nullptr);
}

}  // namespace ultramem::cuda
