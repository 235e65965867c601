// Causal attention over a cache of keys and values, for flat tokens of any mix of sequences: a decode step split over the
// cache and merged, and tiles of positions that the rows of a prompt share. Scores never reach global memory.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// k, v (rows,Hkv,D) → the caches (S,C,Hkv,D) at every token's sequence and position; the last of tokens at one place stays,
// as on the CPU. A block of THREADS per token.
template <int Hkv, int D, int C, int LDK, int LDV, int THREADS, class K, class V, class KC, class VC>
__device__ inline void attention_append(int rows, const K* k, const V* v, const int* positions, const int* sequence, KC* kcache,
                                        VC* vcache) {
  constexpr int WIDTH = Hkv * D;
  const int row = int(blockIdx.x), thread = int(threadIdx.x);
  if (row >= rows || written_again<THREADS>(row, rows, positions, sequence, C)) return;
  const long long place = ((long long)(sequence[row]) * C + positions[row]) * WIDTH;
  for (int e = thread; e < WIDTH; e += THREADS) {
    store_float(kcache + place + e, load_float(k + (long long)(row) * LDK + e));
    store_float(vcache + place + e, load_float(v + (long long)(row) * LDV + e));
  }
}

__device__ inline float minus_infinity() { return -__int_as_float(0x7f800000); }

// A query row's view of some positions, in a warp: the greatest score, Σ weight, and Σ weight · value, of which this lane
// holds runs of RUN elements, 32 runs apart; weights are relative to the greatest score.
template <int D, int RUN>
struct Attended {
  static constexpr int COUNT = (D + 32 * RUN - 1) / (32 * RUN) * RUN;
  float top = minus_infinity(), total = 0;
  float sums[COUNT] = {};

  static __device__ int place(int i) { return (i / RUN * 32 + int(threadIdx.x % 32)) * RUN + i % RUN; }

  // This lane's elements of a value.
  template <class V>
  static __device__ void read(float (&value)[COUNT], const V* from) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) value[i] = 0;
#pragma unroll
    for (int i = 0; i < COUNT; i += RUN)
      if (place(i) < D) copy_floats<RUN>(value + i, from + place(i));
  }

  // Takes in one score per lane, −∞ for none; gives the lane's weight.
  __device__ float weigh(float score) {
    const float next = fmaxf(top, warp_max(score));
    // Nothing seen yet: a finite base keeps the weights at 0 instead of NaN from ∞ − ∞.
    const float base = next == minus_infinity() ? 0.0f : next;
    const float weight = expf(score - base), shrink = expf(top - base);
    total = total * shrink + warp_sum(weight);
#pragma unroll
    for (int i = 0; i < COUNT; i++) sums[i] *= shrink;
    top = next;
    return weight;
  }
};

// Σ over D of a · b, VECTOR elements at a time, each such part summed for itself.
template <int D, int VECTOR, class E>
__device__ inline float dot(const float* a, const E* b) {
  float sum = 0;
#pragma unroll 4
  for (int d = 0; d < D; d += VECTOR) sum += dot_floats<VECTOR>(a + d, b + d, 0.0f);
  return sum;
}

// What a part of the cache gives to a query head, side by side: Σ weight · value (D), greatest score, Σ weight.
template <int D>
constexpr int part_floats = D + 2;

// q (rows,Hq,D) → parts (rows,Hq,PARTS,D+2): part p of a token's positions is [p LENGTH, (p+1) LENGTH). A block per token,
// HEADS query heads of one kv head, and part; its warps take turns of 32 positions, a lane scores one of them. Parts
// behind the token's own position are not written. VECTOR: elements of a key at once; RUN: of a value.
template <int Hq, int Hkv, int D, int C, int LDQ, int HEADS, int PARTS, int LENGTH, int VECTOR, int RUN, int WARPS, class Q,
          class K, class V>
__device__ inline void attention_parts(int rows, const Q* q, const K* kcache, const V* vcache, const int* positions,
                                       const int* sequence, float* parts, float scale) {
  using Own = Attended<D, RUN>;
  constexpr int GROUPS = Hq / HEADS, COUNT = Own::COUNT, PART = part_floats<D>;
  constexpr int PITCH = (D + 3) / 4 * 4;
  __shared__ __align__(16) float query[HEADS * PITCH];
  __shared__ float warps[WARPS * PART];
  const int part = int(blockIdx.x) % PARTS, head = int(blockIdx.x) / PARTS % GROUPS * HEADS;
  const int row = int(blockIdx.x) / (PARTS * GROUPS);
  if (row >= rows) return;
  const int seen = positions[row] + 1, begin = part * LENGTH, end = seen < begin + LENGTH ? seen : begin + LENGTH;
  if (begin >= end) return;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  for (int i = int(threadIdx.x); i < HEADS * D; i += WARPS * 32)
    query[i / D * PITCH + i % D] = load_float(q + (long long)(row) * LDQ + head * D + i) * scale;
  __syncthreads();

  constexpr long long STEP = Hkv * D;
  const long long base = (long long)(sequence[row]) * C * STEP + head / (Hq / Hkv) * D;
  Own own[HEADS];
  for (int first = begin + warp * 32; first < end; first += WARPS * 32) {
    const int count = end - first < 32 ? end - first : 32;
    float weight[HEADS];
#pragma unroll
    for (int h = 0; h < HEADS; h++)
      weight[h] = own[h].weigh(
          lane < count ? dot<D, VECTOR>(query + h * PITCH, kcache + base + (first + lane) * STEP) : minus_infinity());
#pragma unroll 4
    for (int p = 0; p < count; p++) {
      float value[COUNT];
      Own::read(value, vcache + base + (first + p) * STEP);
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        const float share = __shfl_sync(ALL_LANES, weight[h], p);
#pragma unroll
        for (int i = 0; i < COUNT; i++) own[h].sums[i] += share * value[i];
      }
    }
  }

#pragma unroll
  for (int h = 0; h < HEADS; h++) {
    float* mine = warps + warp * PART;
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      if (Own::place(i) < D) mine[Own::place(i)] = own[h].sums[i];
    if (lane == 0) mine[D] = own[h].top, mine[D + 1] = own[h].total;
    __syncthreads();
    float top = minus_infinity();
    for (int w = 0; w < WARPS; w++) top = fmaxf(top, warps[w * PART + D]);
    const float finite = top == minus_infinity() ? 0.0f : top;
    float* to = parts + (((long long)(row) * Hq + head + h) * PARTS + part) * PART;
    for (int d = int(threadIdx.x); d < PART; d += WARPS * 32) {
      float sum = 0;
      for (int w = 0; w < WARPS; w++) sum += warps[w * PART + d] * expf(warps[w * PART + D] - finite);
      to[d] = d == D ? top : sum;
    }
    __syncthreads();
  }
}

// parts → y (rows,Hq,D). A warp per token and query head adds the parts in their order.
template <int Hq, int D, int LDY, int PARTS, int LENGTH, class Y>
__device__ inline void attention_merge(int rows, const float* parts, const int* positions, Y* y) {
  constexpr int PART = part_floats<D>;
  const long long number = thread_number() / 32;
  const long long row = number / Hq;
  if (row >= rows) return;
  const int lane = int(threadIdx.x % 32), count = positions[row] / LENGTH + 1;
  const float* from = parts + number * PARTS * PART;
  float top = minus_infinity();
  for (int p = lane; p < count; p += 32) top = fmaxf(top, from[p * PART + D]);
  top = warp_max(top);
  const float finite = top == minus_infinity() ? 0.0f : top;
  for (int d = lane; d < D; d += 32) {
    float total = 0, sum = 0;
    for (int p = 0; p < count; p++) {
      const float share = expf(from[p * PART + D] - finite);
      total += from[p * PART + D + 1] * share;
      sum += from[p * PART + d] * share;
    }
    store_float(y + row * LDY + number % Hq * D + d, sum / total);
  }
}

// q (rows,Hq,D) → y (rows,Hq,D): token t sees positions 0 … positions[t] of its sequence. A block holds the rows (a token
// and query head each) of some tokens and HEADS heads of one kv head, ROWS in each warp, and passes over tiles of 32
// positions; tokens of one sequence that stand side by side share them. A tile behind a row's position changes none of
// its bits.
template <int Hq, int Hkv, int D, int C, int LDQ, int LDY, int HEADS, int ROWS, int VECTOR, int WARPS, class Q,
          class K, class V, class Y>
__device__ inline void attention_tiles(int rows, const Q* q, const K* kcache, const V* vcache, const int* positions,
                                       const int* sequence, Y* y, float scale) {
  using Own = Attended<D, 1>;
  constexpr int SLOTS = WARPS * ROWS, TOKENS = SLOTS / HEADS, GROUPS = Hq / HEADS, COUNT = Own::COUNT;
  // An odd number of vectors from row to row: neighbouring lanes meet different banks.
  constexpr int PITCH = ((D + VECTOR - 1) / VECTOR | 1) * VECTOR;
  __shared__ __align__(16) float query[SLOTS * PITCH], tile[32 * PITCH];
  const int head = int(blockIdx.x) % GROUPS * HEADS, first = int(blockIdx.x) / GROUPS * TOKENS;
  if (first >= rows) return;
  const int last = first + TOKENS < rows ? first + TOKENS : rows;
  const int thread = int(threadIdx.x), lane = thread % 32, slot = thread / 32 * ROWS;
  for (int i = thread; i < (last - first) * HEADS * D; i += WARPS * 32)
    query[i / D * PITCH + i % D] =
        load_float(q + (long long)(first + i / (HEADS * D)) * LDQ + head * D + i % (HEADS * D)) * scale;

  constexpr long long STEP = Hkv * D;
  const auto fill = [&](const auto* from, int count) {
    __syncthreads();  // the tile before is still read
    for (int i = thread * VECTOR; i < count * D; i += WARPS * 32 * VECTOR) {
      float values[VECTOR];
      copy_floats<VECTOR>(values, from + i / D * STEP + i % D);
      store_floats<VECTOR>(tile + i / D * PITCH + i % D, values);
    }
    __syncthreads();
  };
  Own own[ROWS];
  for (int run = first, next; run < last; run = next) {
    int longest = positions[run] + 1;
    for (next = run + 1; next < last && sequence[next] == sequence[run]; next++)
      longest = positions[next] + 1 > longest ? positions[next] + 1 : longest;
    int seen[ROWS];  // by each row of this warp in this run; 0 for rows of other runs
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const int token = first + (slot + r) / HEADS;
      seen[r] = slot + r < TOKENS * HEADS && token >= run && token < next ? positions[token] + 1 : 0;
    }
    const long long base = (long long)(sequence[run]) * C * STEP + head / (Hq / Hkv) * D;
    for (int position = 0; position < longest; position += 32) {
      const int count = longest - position < 32 ? longest - position : 32;
      fill(kcache + base + position * STEP, count);
      float weight[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        if (position < seen[r])
          weight[r] = own[r].weigh(position + lane < seen[r] ? dot<D, VECTOR>(query + (slot + r) * PITCH, tile + lane * PITCH)
                                                            : minus_infinity());
        else
          weight[r] = 0;
      fill(vcache + base + position * STEP, count);
      for (int p = 0; p < count; p++) {
        float value[COUNT];
        Own::read(value, tile + p * PITCH);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          const float share = __shfl_sync(ALL_LANES, weight[r], p);
#pragma unroll
          for (int i = 0; i < COUNT; i++) own[r].sums[i] += share * value[i];
        }
      }
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    const int token = first + (slot + r) / HEADS;
    if (slot + r >= TOKENS * HEADS || token >= last) continue;
    Y* to = y + (long long)(token) * LDY + (head + (slot + r) % HEADS) * D;
#pragma unroll
    for (int i = 0; i < COUNT; i++)
      if (Own::place(i) < D) store_float(to + Own::place(i), own[r].sums[i] / own[r].total);
  }
}

}  // namespace ultramem::cuda
