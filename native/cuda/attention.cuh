// Causal attention over a cache of keys and values, for flat tokens of any mix of sequences. Scores stay in registers.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// k, v (rows,Hkv,D) → the caches (S,C,Hkv,D) at every token's sequence and position. A thread per element.
template <int Hkv, int D, int C, int LDK, int LDV>
__device__ inline void attention_append(int rows, const float* k, const float* v, const int* positions, const int* sequence,
                                        float* kcache, float* vcache) {
  constexpr int WIDTH = Hkv * D;
  const long long number = thread_number();
  const long long row = number / WIDTH, e = number % WIDTH;
  if (row >= rows) return;
  const long long place = ((long long)(sequence[row]) * C + positions[row]) * WIDTH + e;
  kcache[place] = k[row * LDK + e];
  vcache[place] = v[row * LDV + e];
}

// What a part of the cache gives: the greatest score, Σ weight, Σ weight · value, weights relative to that score.
template <int COUNT>
struct Attended {
  float top, total;
  float sums[COUNT];
};

// q (rows,Hq,D) → y (rows,Hq,D): token t sees positions 0 … positions[t] of its sequence. A block per token and query head;
// its warps share the positions in turns of 32, a lane scores one of them, and the parts are merged in a fixed order.
template <int Hq, int Hkv, int D, int C, int LDQ, int LDY, int WARPS>
__device__ inline void attention(int rows, const float* q, const float* kcache, const float* vcache, const int* positions,
                                 const int* sequence, float* y, float scale) {
  constexpr int COUNT = (D + 31) / 32;
  __shared__ float query[D];
  __shared__ float tops[WARPS], totals[WARPS], parts[WARPS * D];
  const int row = int(blockIdx.x) / Hq, head = int(blockIdx.x) % Hq;
  if (row >= rows) return;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  for (int d = int(threadIdx.x); d < D; d += WARPS * 32) query[d] = q[(long long)(row) * LDQ + head * D + d] * scale;
  __syncthreads();

  constexpr long long STEP = Hkv * D;
  const long long base = (long long)(sequence[row]) * C * STEP + head / (Hq / Hkv) * D;
  const int seen = positions[row] + 1;
  const float nothing = -__int_as_float(0x7f800000);
  Attended<COUNT> own{nothing, 0, {}};
  for (int first = warp * 32; first < seen; first += WARPS * 32) {
    const int position = first + lane;
    float score = nothing;
    if (position < seen) {
      const float* key = kcache + base + position * STEP;
      score = 0;
      for (int d = 0; d < D; d++) score += query[d] * key[d];
    }
    const float top = fmaxf(own.top, warp_max(score));
    const float weight = position < seen ? expf(score - top) : 0.0f;
    const float shrink = expf(own.top - top);
    own.top = top;
    own.total = own.total * shrink + warp_sum(weight);
#pragma unroll
    for (int i = 0; i < COUNT; i++) own.sums[i] *= shrink;
    const int count = seen - first < 32 ? seen - first : 32;
    for (int p = 0; p < count; p++) {
      const float share = __shfl_sync(ALL_LANES, weight, p);
      const float* value = vcache + base + (first + p) * STEP;
#pragma unroll
      for (int i = 0; i < COUNT; i++)
        if (i * 32 + lane < D) own.sums[i] += share * value[i * 32 + lane];
    }
  }
  if (lane == 0) tops[warp] = own.top, totals[warp] = own.total;
#pragma unroll
  for (int i = 0; i < COUNT; i++)
    if (i * 32 + lane < D) parts[warp * D + i * 32 + lane] = own.sums[i];
  __syncthreads();

  for (int d = int(threadIdx.x); d < D; d += WARPS * 32) {
    float top = tops[0];
    for (int part = 1; part < WARPS; part++) top = fmaxf(top, tops[part]);
    float total = 0, sum = 0;
    for (int part = 0; part < WARPS; part++) {
      const float share = expf(tops[part] - top);
      total += totals[part] * share;
      sum += parts[part * D + d] * share;
    }
    y[(long long)(row) * LDY + head * D + d] = sum / total;
  }
}

}  // namespace ultramem::cuda
