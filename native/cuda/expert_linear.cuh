// Products with matrices that tokens choose: choices grouped by expert, then every chosen matrix by all tokens that chose it.
#pragma once
#include "floats.cuh"
#include "mma.cuh"

namespace ultramem::cuda {

// index (T, K), token stride LDI → the choices t·K + k in `pairs`, by expert, those of one in order; groups (E + 1, 2): of every
// chosen expert in order its number and where its choices begin, then E and T·K to the end. Indices are clamped. One block; a
// warp counts, and then writes, the choices of an expert at a time.
template <int E, int K, int LDI, int WARPS>
__device__ inline void expert_groups(int rows, const int* index, int* groups, int* pairs) {
  __shared__ int starts[E];
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32), count = rows * K;
  const unsigned below = (1u << lane) - 1;
  const auto chosen = [&](int pair, int expert) {
    return pair < count && int(clamp_index(index[(long long)(pair / K) * LDI + pair % K], E)) == expert;
  };
  for (int expert = warp; expert < E; expert += WARPS) {
    int own = 0;
    for (int pair = lane; pair - lane < count; pair += 32) own += chosen(pair, expert);
    own = warp_sum(own);
    if (lane == 0) starts[expert] = own;
  }
  __syncthreads();
  if (warp == 0) {
    int start = 0, group = 0;
    for (int first = 0; first < E; first += 32) {
      const int own = first + lane < E ? starts[first + lane] : 0;
      int sum = own;
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(ALL_LANES, sum, step);
        if (lane >= step) sum += other;
      }
      const unsigned full = __ballot_sync(ALL_LANES, own > 0);
      if (own > 0) {
        int* to = groups + 2 * (group + __popc(full & below));
        to[0] = first + lane;
        to[1] = start + sum - own;
      }
      if (first + lane < E) starts[first + lane] = start + sum - own;
      start += __shfl_sync(ALL_LANES, sum, 31);
      group += __popc(full);
    }
    for (int rest = group + lane; rest <= E; rest += 32) {
      groups[2 * rest] = E;
      groups[2 * rest + 1] = count;
    }
  }
  __syncthreads();
  for (int expert = warp; expert < E; expert += WARPS) {
    int to = starts[expert];
    const int end = expert + 1 < E ? starts[expert + 1] : count;
    for (int first = 0; to < end; first += 32) {
      const unsigned own = __ballot_sync(ALL_LANES, chosen(first + lane, expert));
      if (own >> lane & 1) pairs[to + __popc(own & below)] = first + lane;
      to += __popc(own);
    }
  }
}

// x: that of choice k of token t at t·LDX + k·LDK; w (E, N, D); groups and pairs as expert_groups leaves them → y (T, K, N).
// Grid: blocks of WARPS·COLUMNS rows of a matrix, then groups. A warp reads COLUMNS rows of the matrix and multiplies them with
// every token of the group, TOKENS at a time: for more, it finds the rows in a cache.
template <int E, int N, int D, int K, int LDX, int LDK, int TOKENS, int COLUMNS, int VECTOR, int WARPS, class X, class W, class Y>
__device__ inline void expert_linear(int, const X* x, const W* w, const int* groups, const int* pairs, Y* y) {
  const int* group = groups + 2 * int(blockIdx.y);
  const int expert = group[0];
  const int first = (int(blockIdx.x) * WARPS + int(threadIdx.x / 32)) * COLUMNS, lane = int(threadIdx.x % 32);
  if (expert == E || first >= N) return;
  const int end = group[3];
  const W* from[COLUMNS];  // past N the last row stands in
#pragma unroll
  for (int c = 0; c < COLUMNS; c++)
    from[c] = w + ((long long)(expert) * N + (first + c < N ? first + c : N - 1)) * D;
  for (int start = group[1]; start < end; start += TOKENS) {
    const X* row[TOKENS];  // past the group its last token stands in
#pragma unroll
    for (int r = 0; r < TOKENS; r++) {
      const int pair = pairs[start + r < end ? start + r : end - 1];
      row[r] = x + (long long)(pair / K) * LDX + pair % K * LDK;
    }
    float sum[TOKENS][COLUMNS] = {};
    for (int d = lane * VECTOR; d < D; d += 32 * VECTOR) {
      float weight[COLUMNS][VECTOR];
#pragma unroll
      for (int c = 0; c < COLUMNS; c++) copy_floats<VECTOR>(weight[c], from[c] + d);
#pragma unroll
      for (int r = 0; r < TOKENS; r++) {
        if (start + r >= end) break;
        float value[VECTOR];
        copy_floats<VECTOR>(value, row[r] + d);
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
#pragma unroll
          for (int i = 0; i < VECTOR; i++) sum[r][c] += weight[c][i] * value[i];
      }
    }
#pragma unroll
    for (int r = 0; r < TOKENS; r++) {
      if (start + r >= end) break;
#pragma unroll
      for (int c = 0; c < COLUMNS; c++) {
        const float total = warp_sum(sum[r][c]);
        if (lane == 0 && first + c < N) store_float(y + (long long)(pairs[start + r]) * N + first + c, total);
      }
    }
  }
}

// The same through products of bf16 by a warp, summed in f32, as linear_few_mma: a block computes 16 columns of y from 16 rows of a
// matrix, in turns of 32 elements that its WARPS warps share, for 8 TILES tokens of the group at a time. Rows of x and w begin at
// multiples of 16 bytes. Grid: blocks of 16 rows, then groups.
template <int E, int N, int D, int K, int LDX, int LDK, int TILES, int WARPS, class Y>
__device__ inline void expert_linear_mma(int, const BF16* x, const BF16* w, const int* groups, const int* pairs, Y* y) {
  constexpr int COLUMNS = 16, TOKENS = TILES * 8;
  constexpr int PITCH = COLUMNS + 4;  // what a warp's lanes write meets different banks
  __shared__ float parts[WARPS][TOKENS * PITCH];
  const int* group = groups + 2 * int(blockIdx.y);
  const int expert = group[0];
  if (expert == E) return;
  const int end = group[3];
  const int first = int(blockIdx.x) * COLUMNS, lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  const int own = lane / 4, part = lane % 4 * 8;
  const uint4 none = make_uint4(0, 0, 0, 0);
  // Past N the last row stands in.
  const BF16* matrix = w + (long long)(expert) * N * D;
  const BF16* upper = matrix + (long long)(first + own < N ? first + own : N - 1) * D;
  const BF16* lower = matrix + (long long)(first + own + 8 < N ? first + own + 8 : N - 1) * D;
  for (int start = group[1]; start < end; start += TOKENS) {
    const BF16* row[TILES];
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      const int pair = pairs[start + t * 8 + own < end ? start + t * 8 + own : end - 1];
      row[t] = x + (long long)(pair / K) * LDX + pair % K * LDK;
    }
    float sum[TILES][4] = {};
#pragma unroll 4
    for (int base = warp * 32; base < D; base += WARPS * 32) {
      const int d = base + part;
      const bool inside = D % 32 == 0 || d < D;
      const uint4 a = inside ? *reinterpret_cast<const uint4*>(upper + d) : none;
      const uint4 b = inside ? *reinterpret_cast<const uint4*>(lower + d) : none;
#pragma unroll
      for (int t = 0; t < TILES; t++) {
        const bool real = inside && start + t * 8 + own < end;
        const uint4 v = real ? *reinterpret_cast<const uint4*>(row[t] + d) : none;
        mma_bf16(sum[t], {a.x, b.x, a.y, b.y}, {v.x, v.y});
        mma_bf16(sum[t], {a.z, b.z, a.w, b.w}, {v.z, v.w});
      }
    }
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
      for (int i = 0; i < 4; i++) parts[warp][(t * 8 + lane % 4 * 2 + i % 2) * PITCH + own + i / 2 * 8] = sum[t][i];
    __syncthreads();
    const int tokens = end - start < TOKENS ? end - start : TOKENS;
    for (int i = int(threadIdx.x); i < tokens * COLUMNS; i += WARPS * 32) {
      const int token = i / COLUMNS, column = i % COLUMNS;
      if (first + column >= N) continue;
      float total = 0;
#pragma unroll
      for (int one = 0; one < WARPS; one++) total += parts[one][token * PITCH + column];
      store_float(y + (long long)(pairs[start + token]) * N + first + column, total);
    }
    __syncthreads();  // the next tokens' sums go where these were
  }
}

}  // namespace ultramem::cuda
