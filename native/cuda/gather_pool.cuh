// Weighted, grouped sum of value rows (UltraMem §1 steps 12-13).
#pragma once
#include "device.cuh"
#include "floats.cuh"

namespace ultramem::cuda {

// table (N, D), slot (T, R), scores (T, R, C) → y (T, G, D): row = slot mod N goes to group slot div N; columns
// [c*D/C, (c+1)*D/C) are weighted by score c. Slots are clamped to [0, G*N). Token strides LD….
// LANES lanes hold LANES·VEC columns; the other lanes of a warp, and the WARPS warps of a piece, share the rows among them
// and add up in fixed order. `scale`: the factor of each row of a quantised table (N), or null. A piece is a token and a run of columns; a block of 8 warps has 8 / WARPS of them.
template <int N, int D, int R, int C, int G, int LD_SLOT, int LD_SCORES, int LDY, int LANES, int WARPS, int VEC,
          class V, class S, class Y>
__device__ inline void gather_pool(int tokens, const V* table, const float* scale, const int* slot, const S* scores, Y* y) {
  static_assert(D % C == 0 && G <= 16 && (WARPS == 1 || WARPS == 8));
  static_assert(VEC == 1 || D / C % VEC == 0, "a load lies in one slice");
  constexpr int WIDTH = LANES * VEC, CHUNKS = (D + WIDTH - 1) / WIDTH, SHARES = 32 / LANES * WARPS, AHEAD = G > 8 ? 2 : 4;
  constexpr int SUMS = G * VEC;
  __shared__ float memory[WARPS > 1 ? WARPS * SUMS * LANES : 1];
  const int lane = int(threadIdx.x & 31), warp = int(threadIdx.x / 32);
  const long long piece = WARPS > 1 ? (long long)(blockIdx.x) : (long long)(blockIdx.x) * 8 + warp;
  const long long t = piece / CHUNKS;
  if (t >= tokens) return;
  const int share = (WARPS > 1 ? warp * (32 / LANES) : 0) + lane / LANES;
  const int d = int(piece % CHUNKS) * WIDTH + lane % LANES * VEC;
  const bool real = d < D;
  const int slice = real ? d / (D / C) : 0;
  const int* slots = slot + t * LD_SLOT;
  const S* weights = scores + t * LD_SCORES + slice;

  float sums[G][VEC] = {};
  for (int first = share; first < R; first += SHARES * AHEAD) {
    int group[AHEAD];
    float weight[AHEAD] = {}, row[AHEAD][VEC] = {};
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      const int j = first + i * SHARES;
      group[i] = -1;
      if (j < R && real) {
        long long s = slots[j];
        s = s < 0 ? 0 : s >= (long long)(G) * N ? (long long)(G) * N - 1 : s;
        group[i] = int(s / N);
        weight[i] = load_float(weights + j * C);
        // Only bytes have factors; for others the parameter is not there, and nothing is asked at run time.
        if constexpr (sizeof(V) == 1) weight[i] *= scale[s % N];
        copy_floats<VEC>(row[i], table + s % N * D + d);
      }
    }
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
#pragma unroll
      for (int g = 0; g < G; g++) {
        // Zeros for the other groups: a choice of the sum instead would have the compiler put the sums in memory.
        const float factor = group[i] == g ? weight[i] : 0;
#pragma unroll
        for (int v = 0; v < VEC; v++) sums[g][v] += factor * (group[i] == g ? row[i][v] : 0);
      }
  }

#pragma unroll
  for (int g = 0; g < G; g++)
#pragma unroll
    for (int v = 0; v < VEC; v++)
#pragma unroll
      for (int stride = LANES; stride < 32; stride *= 2) sums[g][v] += __shfl_xor_sync(ALL_LANES, sums[g][v], stride);

  Y* to = y + t * LDY;
  if constexpr (WARPS == 1) {
    if (!real || lane >= LANES) return;
#pragma unroll
    for (int g = 0; g < G; g++) store_floats<VEC>(to + g * D + d, sums[g]);
  } else {
    if (lane < LANES)
#pragma unroll
      for (int i = 0; i < SUMS; i++) memory[(warp * SUMS + i) * LANES + lane] = sums[i / VEC][i % VEC];
    __syncthreads();
    // Thread i adds group i / WIDTH of column i mod WIDTH of the run.
    const int begin = int(piece % CHUNKS) * WIDTH;
    for (int i = int(threadIdx.x); i < G * WIDTH; i += WARPS * 32) {
      const int g = i / WIDTH, column = i % WIDTH;
      if (begin + column >= D) continue;
      const float* at = memory + (g * VEC + column % VEC) * LANES + column / VEC;
      float sum = at[0];
#pragma unroll
      for (int w = 1; w < WARPS; w++) sum += at[w * SUMS * LANES];
      store_float(to + g * D + begin + column, sum);
    }
  }
}

// A table without factors.
template <int N, int D, int R, int C, int G, int LD_SLOT, int LD_SCORES, int LDY, int LANES, int WARPS, int VEC,
          class V, class S, class Y>
__device__ inline void gather_pool(int tokens, const V* table, const int* slot, const S* scores, Y* y) {
  gather_pool<N, D, R, C, G, LD_SLOT, LD_SCORES, LDY, LANES, WARPS, VEC>(tokens, table, nullptr, slot, scores, y);
}

}  // namespace ultramem::cuda
