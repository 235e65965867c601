// y = x wᵀ with w as it stands in the checkpoint, [N,K] row-major.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// VECTOR elements as floats, read together.
template <int VECTOR>
struct Run {
  float v[VECTOR] = {};
  Run() = default;
  template <class E>
  __device__ explicit Run(const E* from) {
    copy_floats<VECTOR>(v, from);
  }
};

// Few rows: a warp reads COLUMNS rows of w once and multiplies them with every row of x. ROWS: how many rows there may be.
template <int N, int K, int LDX, int LDY, int ROWS, int COLUMNS, int VECTOR, int WARPS, class X, class W, class Y>
__device__ inline void linear_few(int rows, const X* x, const W* w, Y* y) {
  const int first = (int(blockIdx.x) * WARPS + int(threadIdx.x / 32)) * COLUMNS;
  if (first >= N) return;
  const int lane = int(threadIdx.x % 32);
  const W* from[COLUMNS];  // past N the last column stands in
#pragma unroll
  for (int c = 0; c < COLUMNS; c++) from[c] = w + (long long)(first + c < N ? first + c : N - 1) * K;
  float sum[ROWS][COLUMNS] = {};
#pragma unroll(ROWS == 1 ? 4 : 1)
  for (int k = lane * VECTOR; k < K; k += 32 * VECTOR) {
    Run<VECTOR> weight[COLUMNS];
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) weight[c] = Run<VECTOR>(from[c] + k);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      if (r >= rows) break;
      const Run<VECTOR> value(x + (long long)(r) * LDX + k);
#pragma unroll
      for (int c = 0; c < COLUMNS; c++)
#pragma unroll
        for (int i = 0; i < VECTOR; i++) sum[r][c] += weight[c].v[i] * value.v[i];
    }
  }
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (r >= rows) break;
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
      const float total = warp_sum(sum[r][c]);
      if (lane == 0 && first + c < N) store_float(y + (long long)(r) * LDY + first + c, total);
    }
  }
}

// A slice of DEPTH of TILE rows of a row-major matrix on its way to shared memory, [DEPTH][PITCH] there: held by THREADS
// threads while the slice before is still in use. Zeros stand where there is no element.
template <int K, int LD, int TILE, int DEPTH, int PITCH, int THREADS, int VECTOR>
struct Slice {
  static constexpr int ACROSS = DEPTH / VECTOR, COUNT = TILE * ACROSS / THREADS;
  Run<VECTOR> held[COUNT];

  template <class E>
  __device__ void read(const E* from, int first, int end, int k) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const int number = i * THREADS + int(threadIdx.x), row = first + number / ACROSS, d = k + number % ACROSS * VECTOR;
      held[i] = row < end && d < K ? Run<VECTOR>(from + (long long)(row) * LD + d) : Run<VECTOR>();
    }
  }

  __device__ void write(float* to) const {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const int number = i * THREADS + int(threadIdx.x);
#pragma unroll
      for (int v = 0; v < VECTOR; v++) to[(number % ACROSS * VECTOR + v) * PITCH + number / ACROSS] = held[i].v[v];
    }
  }
};

// Many rows: a block of 128 threads computes 64 × 64 of y from slices of x and w in shared memory, the next slice on its
// way while one is multiplied; a thread holds 8 × 4 of it. Every sum runs over k in order. For weights in f32.
template <int N, int K, int LDX, int LDY, int VECTOR, class X, class W, class Y>
__device__ inline void linear_many(int rows, const X* x, const W* w, Y* y) {
  constexpr int TILE = 64, DEPTH = 16, THREADS = 128, TALL = 8, WIDE = 4;
  constexpr int PITCH = TILE + 4;  // keeps the rows and columns of a thread 16-byte aligned
  constexpr int ACROSS = (N + TILE - 1) / TILE;
  __shared__ __align__(16) float xs[DEPTH * PITCH], ws[DEPTH * PITCH];
  const int first_row = int(blockIdx.x) / ACROSS * TILE, first_column = int(blockIdx.x) % ACROSS * TILE;
  if (first_row >= rows) return;
  const int column = int(threadIdx.x) % 16 * WIDE, row = int(threadIdx.x) / 16 * TALL;
  float sum[TALL][WIDE] = {};
  Slice<K, LDX, TILE, DEPTH, PITCH, THREADS, VECTOR> next_x;
  Slice<K, K, TILE, DEPTH, PITCH, THREADS, VECTOR> next_w;
  next_x.read(x, first_row, rows, 0);
  next_w.read(w, first_column, N, 0);
  for (int k = 0; k < K; k += DEPTH) {
    next_x.write(xs);
    next_w.write(ws);
    __syncthreads();
    if (k + DEPTH < K) {
      next_x.read(x, first_row, rows, k + DEPTH);
      next_w.read(w, first_column, N, k + DEPTH);
    }
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      const Run<4> upper(xs + d * PITCH + row), lower(xs + d * PITCH + row + 4), b(ws + d * PITCH + column);
#pragma unroll
      for (int i = 0; i < TALL; i++)
#pragma unroll
        for (int j = 0; j < WIDE; j++) sum[i][j] += (i < 4 ? upper.v[i % 4] : lower.v[i % 4]) * b.v[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < TALL; i++)
#pragma unroll
    for (int j = 0; j < WIDE; j++)
      if (first_row + row + i < rows && first_column + column + j < N)
        store_float(y + (long long)(first_row + row + i) * LDY + first_column + column + j, sum[i][j]);
}

}  // namespace ultramem::cuda
