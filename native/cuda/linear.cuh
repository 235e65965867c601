// y = x wᵀ with w as it stands in the checkpoint, [N,K] row-major.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// VECTOR floats, 1 or 4, in one load; their address is a multiple of it.
template <int VECTOR>
struct Run {
  float v[VECTOR];
  __device__ explicit Run(const float* from) {
    if constexpr (VECTOR == 4) {
      const float4 four = *reinterpret_cast<const float4*>(from);
      v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    } else {
      v[0] = *from;
    }
  }
};

// Few rows: a warp per column of y reads its row of w once and multiplies it with every row of x. ROWS: how many rows there
// may be.
template <int N, int K, int LDX, int LDY, int ROWS, int VECTOR, int WARPS>
__device__ inline void linear_few(int rows, const float* x, const float* w, float* y) {
  const int n = int(blockIdx.x) * WARPS + int(threadIdx.x / 32);
  if (n >= N) return;
  const int lane = int(threadIdx.x % 32);
  float sum[ROWS] = {};
  for (int k = lane * VECTOR; k < K; k += 32 * VECTOR) {
    const Run<VECTOR> weight(w + (long long)(n) * K + k);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      if (r >= rows) break;
      const Run<VECTOR> value(x + (long long)(r) * LDX + k);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) sum[r] += weight.v[i] * value.v[i];
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (r >= rows) break;
    const float total = warp_sum(sum[r]);
    if (lane == 0) y[(long long)(r) * LDY + n] = total;
  }
}

// Many rows: a block of 256 threads computes TILE × TILE of y from slices of DEPTH of x and w in shared memory; a thread
// holds 4 × 4 of it.
template <int N, int K, int LDX, int LDY>
__device__ inline void linear_many(int rows, const float* x, const float* w, float* y) {
  constexpr int TILE = 64, DEPTH = 16, PITCH = TILE + 4;  // the pitch keeps the four columns of a thread 16-byte aligned
  __shared__ __align__(16) float xs[DEPTH * PITCH], ws[DEPTH * PITCH];
  const int first_row = int(blockIdx.y) * TILE, first_column = int(blockIdx.x) * TILE;
  if (first_row >= rows) return;
  const int thread = int(threadIdx.x);
  const int tx = thread % 16 * 4, ty = thread / 16 * 4;
  float sum[4][4] = {};
  for (int k = 0; k < K; k += DEPTH) {
    for (int i = thread; i < TILE * DEPTH; i += 256) {
      const int row = i / DEPTH, d = i % DEPTH;
      const bool inside = k + d < K;
      xs[d * PITCH + row] = inside && first_row + row < rows ? x[(long long)(first_row + row) * LDX + k + d] : 0.0f;
      ws[d * PITCH + row] = inside && first_column + row < N ? w[(long long)(first_column + row) * K + k + d] : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      const Run<4> a(xs + d * PITCH + ty), b(ws + d * PITCH + tx);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] += a.v[i] * b.v[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (first_row + ty + i < rows && first_column + tx + j < N)
        y[(long long)(first_row + ty + i) * LDY + first_column + tx + j] = sum[i][j];
}

}  // namespace ultramem::cuda
