// y = x wᵀ through products of bf16 by a warp, summed in f32; w as it stands in the checkpoint, [N,K] row-major.
#pragma once
#include "floats.cuh"
#include "mma.cuh"

namespace ultramem::cuda {

// Few rows: a block computes 16 columns of y from 16 rows of w, which its WARPS warps read once, in turns of 32 elements each.
// The rows of x stand on the narrow side of a product. Which k a lane multiplies is free as long as it is the same on both
// sides: a lane takes 8 neighbours, 16 bytes, for two products. Rows of x and w begin at multiples of 16 bytes. ROWS: how many
// rows there may be.
template <int N, int K, int LDX, int LDY, int ROWS, int WARPS, class Y>
__device__ inline void linear_few_mma(int rows, const BF16* x, const BF16* w, Y* y) {
  constexpr int TILES = (ROWS + 7) / 8, COLUMNS = 16;
  constexpr int PITCH = COLUMNS + 4;  // what a warp's lanes write meets different banks
  __shared__ float parts[WARPS][TILES * 8 * PITCH];
  const int first = int(blockIdx.x) * COLUMNS, lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  const int own = lane / 4, start = lane % 4 * 8;
  const uint4 none = make_uint4(0, 0, 0, 0);
  // Past N the last column stands in.
  const BF16* upper = w + (long long)(first + own < N ? first + own : N - 1) * K;
  const BF16* lower = w + (long long)(first + own + 8 < N ? first + own + 8 : N - 1) * K;
  float sum[TILES][4] = {};
#pragma unroll 4
  for (int base = warp * 32; base < K; base += WARPS * 32) {
    const int k = base + start;
    const bool inside = K % 32 == 0 || k < K;
    const uint4 a = inside ? *reinterpret_cast<const uint4*>(upper + k) : none;
    const uint4 b = inside ? *reinterpret_cast<const uint4*>(lower + k) : none;
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      const int row = t * 8 + own;
      const uint4 v = inside && row < rows ? *reinterpret_cast<const uint4*>(x + (long long)(row) * LDX + k) : none;
      mma_bf16(sum[t], {a.x, b.x, a.y, b.y}, {v.x, v.y});
      mma_bf16(sum[t], {a.z, b.z, a.w, b.w}, {v.z, v.w});
    }
  }
#pragma unroll
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int i = 0; i < 4; i++) parts[warp][(t * 8 + lane % 4 * 2 + i % 2) * PITCH + own + i / 2 * 8] = sum[t][i];
  __syncthreads();
  for (int i = int(threadIdx.x); i < rows * COLUMNS; i += WARPS * 32) {
    const int row = i / COLUMNS, column = i % COLUMNS;
    if (first + column >= N) continue;
    float total = 0;
#pragma unroll
    for (int part = 0; part < WARPS; part++) total += parts[part][row * PITCH + column];
    store_float(y + (long long)(row) * LDY + first + column, total);
  }
}

// Elements of k in a slice of a tile: two rows of a slice lie in a line of 128 bytes, which spans all banks of shared memory.
constexpr int SLICE = 32;

// Where 8 neighbours, a piece of 16 bytes, of a row lie in a slice, in pieces. Pieces of a row are swapped by its number over
// 2^SHIFT: the 8 rows that a warp reads at once, of which every other has another such number, meet different banks.
template <int SHIFT>
__device__ inline int piece_at(int row, int piece) {
  return row / 2 * 8 + row % 2 * 4 + (piece ^ (row >> SHIFT & 3));
}

// How THREADS threads bring slices of TILE rows of a row-major matrix of stride LD into shared memory as bf16: begun ahead of
// the products of a slice before and ended behind them. RUN: elements that can be loaded at once. Zeros stand where there is no
// element. bf16 that lies right is copied as it is, without a register held.
template <class E, int K, int LD, int TILE, int SHIFT, int RUN, int THREADS>
struct Filling {
  static constexpr bool AS_IS = sizeof(E) == 2 && RUN == 8;
  static constexpr int COUNT = TILE * 4 / THREADS;
  float held[AS_IS ? 1 : COUNT][8];

  __device__ void begin(uint4* to, const E* from, int first, int end, int k) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
      const int number = i * THREADS + int(threadIdx.x), row = number / 4, d = k + number % 4 * 8;
      const E* source = from + (long long)(first + row) * LD + d;
      if constexpr (AS_IS) {
        const bool inside = first + row < end && d < K;
        cp_async16(to + piece_at<SHIFT>(row, number % 4), inside ? source : from, inside ? 16 : 0);
      } else {
#pragma unroll
        for (int e = 0; e < 8; e += RUN) {
#pragma unroll
          for (int v = 0; v < RUN; v++) held[i][e + v] = 0;
          if (first + row < end && d + e < K) copy_floats<RUN>(held[i] + e, source + e);
        }
      }
    }
  }

  __device__ void end(uint4* to) const {
    if constexpr (!AS_IS) {
#pragma unroll
      for (int i = 0; i < COUNT; i++) {
        const int number = i * THREADS + int(threadIdx.x);
        store_floats<8>(reinterpret_cast<BF16*>(to + piece_at<SHIFT>(number / 4, number % 4)), held[i]);
      }
    }
  }
};

// Many rows: a block of 2 TILE threads computes TILE × TILE of y, 64 or 128, a warp TILE/2 × 32 of it. Slices of x and w pass
// through shared memory, two on their way while one is multiplied. RUNX, RUNW, RUNY: elements of x, w and y at once.
template <int N, int K, int LDX, int LDY, int TILE, int RUNX, int RUNW, int RUNY, class X, class W, class Y>
__device__ inline void linear_many_mma(int rows, const X* x, const W* w, Y* y) {
  constexpr int STAGES = 3, SLICES = (K + SLICE - 1) / SLICE, ACROSS = (N + TILE - 1) / TILE, PIECES = TILE * 4;
  constexpr int TALL = TILE / 32;  // products of a warp below each other; 4 lie side by side
  __shared__ uint4 xs[STAGES][PIECES], ws[STAGES][PIECES];
  const int first_row = int(blockIdx.x) / ACROSS * TILE, first_column = int(blockIdx.x) % ACROSS * TILE;
  if (first_row >= rows) return;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32), quad = lane / 4, pair = lane % 4;
  const int row = warp % 2 * (TILE / 2) + quad;
  // Column n of product j is column n / 2 · 8 + 2 j + n % 2 of the warp's 32: a lane ends with 8 neighbours of y.
  const int column = warp / 2 * 32, weight = column + quad / 2 * 8 + quad % 2;

  // What waits for short loads beside the products would take more registers than there are.
  constexpr bool LATE = RUNX >= 4 && RUNW >= 4;
  Filling<X, K, LDX, TILE, 1, RUNX, 2 * TILE> next_x;
  Filling<W, K, K, TILE, 3, RUNW, 2 * TILE> next_w;
  const auto begin = [&](int slice) {
    next_x.begin(xs[slice % STAGES], x, first_row, rows, slice * SLICE);
    next_w.begin(ws[slice % STAGES], w, first_column, N, slice * SLICE);
    cp_async_commit();
  };
  const auto end = [&](int slice) {
    next_x.end(xs[slice % STAGES]);
    next_w.end(ws[slice % STAGES]);
  };
  float sum[TALL][4][4] = {};
#pragma unroll
  for (int slice = 0; slice < STAGES - 1; slice++) {
    begin(slice);
    end(slice);
  }
  for (int slice = 0; slice < SLICES; slice++) {
    cp_async_wait<STAGES - 2>();
    __syncthreads();  // this slice is there for all, and nobody reads the one before any more
    begin(slice + STAGES - 1);
    if (!LATE) end(slice + STAGES - 1);
    const unsigned* left = reinterpret_cast<const unsigned*>(xs[slice % STAGES]);
    const unsigned* right = reinterpret_cast<const unsigned*>(ws[slice % STAGES]);
#pragma unroll
    for (int piece = 0; piece < SLICE / 8; piece += 2) {
      unsigned a[TALL][4], b[4][2];
#pragma unroll
      for (int i = 0; i < TALL * 4; i++)
        a[i / 4][i % 4] = left[piece_at<1>(row + i / 4 * 16 + i % 2 * 8, piece + i / 2 % 2) * 4 + pair];
#pragma unroll
      for (int j = 0; j < 8; j++) b[j / 2][j % 2] = right[piece_at<3>(weight + j / 2 * 2, piece + j % 2) * 4 + pair];
#pragma unroll
      for (int i = 0; i < TALL; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) mma_bf16(sum[i][j], a[i], b[j]);
    }
    if (LATE) end(slice + STAGES - 1);
  }
  cp_async_wait<0>();

#pragma unroll
  for (int i = 0; i < TALL * 2; i++) {
    const int to = first_row + row + i * 8, from = first_column + column + pair * 8;
    if (to >= rows) continue;
    float values[8];
#pragma unroll
    for (int v = 0; v < 8; v++) values[v] = sum[i / 2][v / 2][i % 2 * 2 + v % 2];
#pragma unroll
    for (int v = 0; v < 8; v += RUNY)
      if (from + v < N) store_floats<RUNY>(y + (long long)(to) * LDY + from + v, values + v);
  }
}

}  // namespace ultramem::cuda
