// y[t,n] = Σ_k x[t,k]·w[n,k] over weights packed once into panels of 64 columns: panel p holds columns 64p … 64p+63, zero past
// N, strip by strip of as many columns as a tile takes, so that a tile reads one run of memory: each strip as [K][STRIP] floats, or as
// [K/2][STRIP][2] of bf16, zero past K.
#pragma once
#include "pool.h"
#include "stored.h"

namespace ultramem {

constexpr int PANEL = 64;
constexpr int STRIP = LANES == 16 ? PANEL : 2 * LANES;

// Elements of k that lie side by side in a panel, and k as a panel holds it.
template <class E>
constexpr int64_t kGroup = std::is_same_v<E, BF16> ? 2 : 1;
template <class E>
constexpr int64_t panel_rows(int64_t K) {
  return int64_t(round_up(size_t(K), size_t(kGroup<E>)));
}

template <class E>
constexpr size_t packed_elements(size_t N, size_t K) {
  return round_up(N, PANEL) * size_t(panel_rows<E>(int64_t(K)));
}

// Element k of column c of a panel, of w[n·ldn + k·ldk]. packed: packed_elements<E>(N, K), 64-byte aligned.
template <class W, class E>
void pack_linear(Pool& pool, int64_t N, int64_t K, const W* w, int64_t ldn, int64_t ldk, E* packed) {
  constexpr int64_t RUN = 16, G = kGroup<E>;  // k per block: a cache line of each of the panel's rows of w
  const int64_t rows = panel_rows<E>(K);
  pool.parallel((N + PANEL - 1) / PANEL, [&](int64_t panel, int) {
    E* to = packed + panel * rows * PANEL;
    const W* from = w + panel * PANEL * ldn;
    const int64_t columns = N - panel * PANEL < PANEL ? N - panel * PANEL : PANEL;
    for (int64_t first = 0; first < rows; first += RUN) {
      const int64_t last = first + RUN < rows ? first + RUN : rows;
      for (int64_t c = 0; c < PANEL; c++)
        for (int64_t k = first; k < last; k++) to[c / STRIP * rows * STRIP + (k / G * STRIP + c % STRIP) * G + k % G] = c < columns && k < K ? convert<E>(from[c * ldn + k * ldk]) : E{};
    }
  });
}

// The register tile: rows of x by vectors of a panel. Its sums, one vector of each k's weights and one broadcast fit
// the registers (24 + 4 + 1 of 32 with AVX-512, 12 + 2 + 1 of 16 otherwise).
constexpr int TILE_ROWS = 6;
constexpr int PANEL_VECTORS = PANEL / LANES;
// One or two rows have few sums of their own, so they take more strips at once: more chains.
constexpr int tile_vectors(int rows) { return LANES == 16 ? 4 : rows == 1 ? 8 : rows == 2 ? 4 : 2; }
// Where vector c of a tile lies, in vectors of pairs or single elements; strips lie lds elements apart.
constexpr int64_t in_strips(int c, int64_t lds) { return c / (STRIP / LANES) * lds + c % (STRIP / LANES) * LANES; }

// A tile's one or two streams of loads get a fraction of what memory gives where no more is under way: the lines of so many steps of
// k are asked for ahead. Tiles of a whole panel's width are enough by themselves.
constexpr int64_t AHEAD = 32;
template <class E>
inline void ask_ahead([[maybe_unused]] const E* w) {
  if constexpr (STRIP < PANEL) __builtin_prefetch(w + AHEAD * STRIP * kGroup<E>);
}

// sums[r][c] += Σ_{k<K} x[r·ldx + k] · w[k·STRIP + vector c …], k in order.
template <int ROWS, int VECTORS>
__attribute__((always_inline)) inline void multiply_tile(int64_t K, const float* x, int64_t ldx, const float* w, int64_t lds,
                                                         Vec (&sums)[ROWS][VECTORS]) {
  const float* row[ROWS];
  for (int r = 0; r < ROWS; r++) row[r] = x + r * ldx;
  for (int64_t k = 0; k < K; k++, w += STRIP) {
    ask_ahead(w);
    Vec column[VECTORS];
#pragma GCC unroll 16
    for (int c = 0; c < VECTORS; c++) {
      column[c] = load(w + in_strips(c, lds));
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

// The same over a panel of bf16, widened: k is even but where it ends.
template <int ROWS, int VECTORS>
__attribute__((always_inline)) inline void multiply_tile(int64_t K, const float* x, int64_t ldx, const BF16* w, int64_t lds,
                                                         Vec (&sums)[ROWS][VECTORS]) {
  const float* row[ROWS];
  for (int r = 0; r < ROWS; r++) row[r] = x + r * ldx;
  const auto add = [&](int64_t k, const Vec (&column)[VECTORS]) {
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
      const Vec a = splat(row[r][k]);
#pragma GCC unroll 16
      for (int c = 0; c < VECTORS; c++) sums[r][c] = multiply_add(a, column[c], sums[r][c]);
    }
  };
  for (int64_t k = 0; k < K; k += 2, w += 2 * STRIP) {
    ask_ahead(w);
    const int32_t* pairs = reinterpret_cast<const int32_t*>(w);
    Vec column[VECTORS];
#pragma GCC unroll 16
    for (int c = 0; c < VECTORS; c++) column[c] = first_of_pairs(load(pairs + in_strips(c, lds / 2)));
    add(k, column);
    if (k + 1 == K) return;
#pragma GCC unroll 16
    for (int c = 0; c < VECTORS; c++) column[c] = second_of_pairs(load(pairs + in_strips(c, lds / 2)));
    add(k + 1, column);
  }
}

// The same with x rounded to bf16 as well, zero past K; K and ldx are even.
template <int ROWS, int VECTORS>
__attribute__((always_inline)) inline void multiply_tile(int64_t K, const BF16* x, int64_t ldx, const BF16* w, int64_t lds,
                                                         Vec (&sums)[ROWS][VECTORS]) {
  for (int64_t k = 0; k < K; k += 2, w += 2 * STRIP) {
    IntVec column[VECTORS];
#pragma GCC unroll 16
    for (int c = 0; c < VECTORS; c++) column[c] = load(reinterpret_cast<const int32_t*>(w) + in_strips(c, lds / 2));
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
      int32_t pair;
      std::memcpy(&pair, x + r * ldx + k, 4);
      const IntVec a = splat(pair);
#pragma GCC unroll 16
      for (int c = 0; c < VECTORS; c++) sums[r][c] = multiply_add_pairs(a, column[c], sums[r][c]);
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

constexpr int64_t LINEAR_BLOCK = 48;  // tokens that share a reading of a panel

template <int64_t N, int64_t K, class E = float>
constexpr size_t linear_scratch() {
  return kMultipliesPairs && std::is_same_v<E, BF16> ? size_t(LINEAR_BLOCK * panel_rows<E>(K)) * sizeof(E) : 0;
}

// What products do besides, a little at a time: nothing.
struct Nothing {
  void operator()() const {}
};
constexpr int64_t kStep = 64;  // k between two calls of what is done besides

// Adds (or, at the first run of k, stores) the products of one panel's run of k into y (T, columns); w is that run in the first strip.
template <int ROWS, class X, class E, class Besides>
inline void linear_tile(int64_t K, const X* x, int64_t ldx, const E* w, int64_t lds, bool first, int64_t columns, float* y, int64_t ldy, Besides& besides) {
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
    const E* at = w + n / STRIP * lds;
    if constexpr (std::is_same_v<Besides, Nothing>) multiply_tile(K, x, ldx, at, lds, sums);
    else
      for (int64_t k = 0; k < K; k += kStep) {
        multiply_tile(K - k < kStep ? K - k : kStep, x + k, ldx, at + k * STRIP, lds, sums);
        besides();
      }
    for (int r = 0; r < ROWS; r++)
      for (int c = 0; c < VECTORS; c++) {
        float* to = y + r * ldy + n + c * LANES;
        if (lanes(c) >= LANES) store(to, sums[r][c]);
        else if (lanes(c) > 0) store_first(to, sums[r][c], lanes(c));
      }
  }
}

// y (T, N) of panels [from, to): x (T, K) of f32, or rounded to bf16 as round_rows leaves it.
template <int64_t N, int64_t K, class X, class E, class Besides>
inline void linear_panels(int64_t from, int64_t to, int64_t T, const X* x, int64_t ldx, const E* packed, float* y, int64_t ldy, Besides& besides) {
  constexpr int64_t DEPTH = panel_rows<E>(K), depth = std::is_same_v<X, BF16> ? DEPTH : K;
  constexpr int64_t RUN = 512;  // k whose 128 KiB of a panel stay in L2 while a block's tiles pass over them
  const int64_t run = T <= TILE_ROWS ? depth : RUN;
  for (int64_t panel = from; panel < to; panel++) {
    const int64_t columns = N - panel * PANEL < PANEL ? N - panel * PANEL : PANEL;
    for (int64_t k = 0; k < depth; k += run)
      for_tiles(T, [&]<int ROWS>(int64_t t) {
        linear_tile<ROWS>(depth - k < run ? depth - k : run, x + t * ldx + k, ldx, packed + panel * DEPTH * PANEL + k * STRIP, DEPTH * STRIP, k == 0, columns,
                          y + t * ldy + panel * PANEL, ldy, besides);
      });
  }
}

// x (T, K) → rounded (T, panel_rows<BF16>(K)), zero past K.
template <int64_t K>
inline void round_rows(int64_t T, const float* x, int64_t ldx, BF16* rounded) {
  constexpr int64_t DEPTH = panel_rows<BF16>(K);
  for (int64_t t = 0; t < T; t++) {
    round_row<K>(x + t * ldx, rounded + t * DEPTH);
    if constexpr (K < DEPTH) rounded[t * DEPTH + K] = {};
  }
}

// x (T, K) with token stride ldx, packed as pack_linear leaves it, y (T, N) with token stride ldy; strides in floats.
// y must not overlap x. Over f32 each sum runs over k in order, so a token's result does not depend on the others. Over bf16 so
// do those of up to TILE_ROWS tokens; more are rounded to bf16 themselves where the processor multiplies pairs of it.
template <int64_t N, int64_t K, class E>
void linear(Pool& pool, int64_t T, const float* x, int64_t ldx, const E* packed, float* y, int64_t ldy) {
  constexpr int64_t PANELS = (N + PANEL - 1) / PANEL;
  constexpr bool ROUNDS = linear_scratch<N, K, E>() > 0;
  const int64_t blocks = (T + LINEAR_BLOCK - 1) / LINEAR_BLOCK;
  // Panels of a piece: several where tokens are rounded for it, if pieces are enough.
  const int64_t most = ROUNDS && T > TILE_ROWS ? PANELS * blocks / 8 : 1;
  const int64_t group = most < 1 ? 1 : most > 4 ? 4 : most;
  // A block's tokens, then the next panel's: neighbours in time share the panel.
  pool.parallel((PANELS + group - 1) / group * blocks, [&](int64_t i, [[maybe_unused]] int worker) {
    const int64_t block = i % blocks, first = block * T / blocks, tokens = (block + 1) * T / blocks - first;
    const int64_t from = i / blocks * group, to = from + group < PANELS ? from + group : PANELS;
    Nothing besides;
    if constexpr (ROUNDS) {
      if (tokens > TILE_ROWS) {
        BF16* const rounded = reinterpret_cast<BF16*>(pool.scratch(worker));
        round_rows<K>(tokens, x + first * ldx, ldx, rounded);
        linear_panels<N, K>(from, to, tokens, rounded, panel_rows<E>(K), packed, y + first * ldy, ldy, besides);
        return;
      }
    }
    linear_panels<N, K>(from, to, tokens, x + first * ldx, ldx, packed, y + first * ldy, ldy, besides);
  });
}

}  // namespace ultramem
