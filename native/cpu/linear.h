// y[t,n] = Σ_k x[t,k]·w[n,k] over weights packed once into panels of 64 columns: panel p holds columns 64p … 64p+63 as
// [K][64] floats, zero past N, so that one step of k reads one run of memory.
#pragma once
#include "pool.h"
#include "simd.h"

namespace ultramem {

constexpr int PANEL = 64;

constexpr size_t packed_floats(size_t N, size_t K) { return round_up(N, PANEL) * K; }

// packed[(n/64)·K·64 + k·64 + n%64] = w[n·ldn + k·ldk]. packed: packed_floats(N, K), 64-byte aligned.
inline void pack_linear(Pool& pool, int64_t N, int64_t K, const float* w, int64_t ldn, int64_t ldk, float* packed) {
  constexpr int64_t RUN = 16;  // k per block: a cache line of each of the panel's rows of w
  pool.parallel((N + PANEL - 1) / PANEL, [&](int64_t panel, int) {
    float* to = packed + panel * K * PANEL;
    const float* from = w + panel * PANEL * ldn;
    const int64_t columns = N - panel * PANEL < PANEL ? N - panel * PANEL : PANEL;
    for (int64_t first = 0; first < K; first += RUN) {
      const int64_t last = first + RUN < K ? first + RUN : K;
      for (int64_t c = 0; c < PANEL; c++)
        for (int64_t k = first; k < last; k++) to[k * PANEL + c] = c < columns ? from[c * ldn + k * ldk] : 0.0f;
    }
  });
}

// The register tile: rows of x by vectors of a panel. Its sums, one vector of each k's weights and one broadcast fit
// the registers (24 + 4 + 1 of 32 with AVX-512, 12 + 2 + 1 of 16 otherwise).
constexpr int TILE_ROWS = 6;
constexpr int PANEL_VECTORS = PANEL / LANES;
// One or two rows have few sums of their own, so they take more of the panel at once: longer runs of memory, more chains.
constexpr int tile_vectors(int rows) { return LANES == 16 ? 4 : rows == 1 ? 8 : rows == 2 ? 4 : 2; }

// sums[r][c] += Σ_{k<K} x[r·ldx + k] · w[k·PANEL + c·LANES …], k in order.
template <int ROWS, int VECTORS>
__attribute__((always_inline)) inline void multiply_tile(int64_t K, const float* x, int64_t ldx, const float* w,
                                                         Vec (&sums)[ROWS][VECTORS]) {
  const float* row[ROWS];
  for (int r = 0; r < ROWS; r++) row[r] = x + r * ldx;
  for (int64_t k = 0; k < K; k++, w += PANEL) {
    Vec column[VECTORS];
#pragma GCC unroll 16
    for (int c = 0; c < VECTORS; c++) {
      column[c] = load(w + c * LANES);
      // With registers to spare; else it is loaded again by each row's multiply-add.
      if (LANES == 16 && ROWS > 1) keep_in_register(column[c]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
      const Vec a = splat(row[r][k]);
#pragma GCC unroll 16
      for (int c = 0; c < VECTORS; c++) sums[r][c] = multiply_add(a, column[c], sums[r][c]);
    }
  }
}

// Calls body.template operator()<ROWS>(first) over rows [0, T) in tiles of nearly equal height, at most TILE_ROWS.
template <class Body>
inline void for_tiles(int64_t T, const Body& body) {
  const int64_t tiles = (T + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t tile = 0; tile < tiles; tile++) {
    const int64_t first = tile * T / tiles, rows = (tile + 1) * T / tiles - first;
    switch (rows) {
      case 1: body.template operator()<1>(first); break;
      case 2: body.template operator()<2>(first); break;
      case 3: body.template operator()<3>(first); break;
      case 4: body.template operator()<4>(first); break;
      case 5: body.template operator()<5>(first); break;
      default: body.template operator()<6>(first);
    }
  }
}

template <int64_t N, int64_t K>
constexpr size_t linear_scratch() {
  return 0;
}

// Adds (or, at the first run of k, stores) the products of one panel's run of k into y (T, columns).
template <int ROWS>
inline void linear_tile(int64_t K, const float* x, int64_t ldx, const float* w, bool first, int64_t columns, float* y,
                        int64_t ldy) {
  constexpr int VECTORS = tile_vectors(ROWS), WIDTH = VECTORS * LANES;
  for (int64_t n = 0; n < columns; n += WIDTH) {
    Vec sums[ROWS][VECTORS] = {};
    const auto lanes = [&](int c) { return int(columns - n - c * LANES); };  // of vector c that exist in y
    if (!first)
      for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < VECTORS; c++) {
          const float* from = y + r * ldy + n + c * LANES;
          if (lanes(c) >= LANES) sums[r][c] = load(from);
          else if (lanes(c) > 0) sums[r][c] = load_first(from, lanes(c));
        }
    multiply_tile(K, x, ldx, w + n, sums);
    for (int r = 0; r < ROWS; r++)
      for (int c = 0; c < VECTORS; c++) {
        float* to = y + r * ldy + n + c * LANES;
        if (lanes(c) >= LANES) store(to, sums[r][c]);
        else if (lanes(c) > 0) store_first(to, sums[r][c], lanes(c));
      }
  }
}

// x (T, K) with token stride ldx, packed as pack_linear leaves it, y (T, N) with token stride ldy; strides in floats.
// y must not overlap x. Each sum runs over k in order, so a token's result does not depend on the others.
template <int64_t N, int64_t K>
void linear(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* packed, float* y, int64_t ldy) {
  constexpr int64_t PANELS = (N + PANEL - 1) / PANEL;
  constexpr int64_t RUN = 512;   // k whose 128 KiB of a panel stay in L2 while a block's tiles pass over them
  constexpr int64_t BLOCK = 48;  // tokens
  const int64_t blocks = (T + BLOCK - 1) / BLOCK;
  const auto piece = [&](int64_t panel, int64_t first, int64_t tokens) {
    const int64_t columns = N - panel * PANEL < PANEL ? N - panel * PANEL : PANEL;
    const int64_t run = tokens <= TILE_ROWS ? K : RUN;
    for (int64_t k = 0; k < K; k += run)
      for_tiles(tokens, [&]<int ROWS>(int64_t tile) {
        const int64_t t = first + tile;
        linear_tile<ROWS>(K - k < run ? K - k : run, x + t * ldx + k, ldx, packed + (panel * K + k) * PANEL, k == 0,
                          columns, y + t * ldy + panel * PANEL, ldy);
      });
  };
  // A block's tokens, then the next panel's: neighbours in time share the panel.
  pool.parallel(PANELS * blocks, [&](int64_t i, int) {
    const int64_t block = i % blocks, first = block * T / blocks;
    piece(i / blocks, first, (block + 1) * T / blocks - first);
  });
}

}  // namespace ultramem
