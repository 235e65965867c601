// Products with matrices that tokens choose. Weights are read where they lie, [E,N,D] row by row, by dot products: a packed copy
// of all experts would double gigabytes, and rows are contiguous already. A matrix is read once for all tokens that chose it.
#pragma once
#include "extents.h"
#include "stored.h"
#include "vector_math.h"

namespace ultramem {

template <int64_t E>
constexpr size_t expert_groups_scratch() {
  return size_t(E) * sizeof(int32_t);
}

// index (T, K), token stride ldi → the choices t·K + k in `pairs`, by expert, those of one in order; groups (E + 1, 2): of every
// chosen expert in order its number and where its choices begin, then E and T·K to the end. Indices are clamped.
template <int64_t E, int64_t K>
void expert_groups(Pool& pool, int64_t T, const int32_t* index, int64_t ldi, int32_t* groups, int32_t* pairs) {
  const auto expert = [&](int64_t pair) {
    const int64_t e = index[pair / K * ldi + pair % K];
    return e < 0 ? 0 : e >= E ? E - 1 : e;
  };
  int32_t* const next = reinterpret_cast<int32_t*>(pool.scratch(0));
  for (int64_t e = 0; e < E; e++) next[e] = 0;
  for (int64_t pair = 0; pair < T * K; pair++) next[expert(pair)]++;
  int32_t start = 0;
  int64_t group = 0;
  for (int64_t e = 0; e < E; e++) {
    const int32_t count = next[e];
    next[e] = start;
    if (count > 0) {
      groups[2 * group] = int32_t(e);
      groups[2 * group + 1] = start;
      group++;
    }
    start += count;
  }
  for (; group <= E; group++) {
    groups[2 * group] = int32_t(E);
    groups[2 * group + 1] = start;
  }
  for (int64_t pair = 0; pair < T * K; pair++) pairs[next[expert(pair)]++] = int32_t(pair);
}

constexpr int64_t EXPERT_BLOCK = 48;             // tokens that share a reading of a block of rows
constexpr int EXPERT_TOKENS = LANES >= 8 ? 4 : 1;  // of a tile at most

// Rows of a tile, and those of them that are read side by side: their sums, the tokens' values and a weight fit the registers (16 + 4 + 1 of
// 32 with AVX-512; with AVX2 12 + 4 + the weights that are added, of 16), and the sums of a tile of the most tokens fill vectors.
template <int TOKENS>
constexpr int kTileRows = LANES == 8 ? 6 : LANES / TOKENS;
template <int TOKENS>
constexpr int kAbreast = LANES == 8 ? (TOKENS > 2 ? 3 : 6) : 4;
constexpr int EXPERT_ROWS = kTileRows<1>;  // rows that pass by all tokens before the next do

// Columns of a row of x as the products take it: where pairs of bf16 are multiplied, padded with zeros to whole vectors.
template <int64_t D>
constexpr int64_t kExpertDepth = int64_t(round_up(size_t(D), 2 * LANES));

template <int64_t D, class W>
constexpr size_t expert_linear_scratch() {
  return kMultipliesPairs && std::is_same_v<W, BF16> ? size_t(EXPERT_BLOCK * kExpertDepth<D>) * sizeof(BF16) : 0;
}

// Rows are asked for as many ahead as are read abreast, a line for each that is used: a stream from each of a few rows is short for the
// processor's own guesses, which read 0.6 times as fast (past the last row a prefetch does no harm). Once a line, and only by the first
// tokens that rows meet: a prefetch of what is there already costs as much as a multiply-add or two.
template <int64_t D, int ROWS, class W>
inline void ask_ahead(const W* const* w, int64_t d) {
  if (d % (64 / int64_t(sizeof(W))) == 0)
    for (int r = 0; r < ROWS; r++) __builtin_prefetch(w[r] + ROWS * D + d, 0, 2);
}

// sum(f, m) += few(f) · many(m): the few stay in registers, and each of the many meets all of them.
template <int FEW, int MANY>
__attribute__((always_inline)) inline void add_products(const auto& few, const auto& many, const auto& sum) {
  Vec kept[FEW];
#pragma GCC unroll 8
  for (int f = 0; f < FEW; f++) {
    kept[f] = few(f);
    keep_in_register(kept[f]);
  }
#pragma GCC unroll 8
  for (int m = 0; m < MANY; m++) {
    Vec one = many(m);
    if constexpr (FEW > 1) keep_in_register(one);
#pragma GCC unroll 8
    for (int f = 0; f < FEW; f++) sum(f, m) = multiply_add(one, kept[f], sum(f, m));
  }
}

// sums[r·TOKENS + i] of row r and token i, lane by lane: over d in steps of LANES, rows as floats.
template <int64_t D, int ROWS, int TOKENS, bool ASK, class W>
inline void expert_products(const float* const* x, const W* const* w, Vec* sums) {
  constexpr int64_t whole = D / LANES * LANES;
  constexpr int rest = int(D - whole);
  Vec own[ROWS][TOKENS] = {};
  const auto add = [&](int64_t d, auto get) {
    if constexpr (ASK) ask_ahead<D, ROWS>(w, d);
    const auto weight = [&](int r) { return get(w[r] + d); };
    const auto value = [&](int i) { return get(x[i] + d); };
    if constexpr (ROWS <= TOKENS) add_products<ROWS, TOKENS>(weight, value, [&](int r, int i) -> Vec& { return own[r][i]; });
    else add_products<TOKENS, ROWS>(value, weight, [&](int i, int r) -> Vec& { return own[r][i]; });
  };
  for (int64_t d = 0; d < whole; d += LANES) add(d, [](const auto* p) { return load(p); });
  if constexpr (rest > 0) add(whole, [](const auto* p) { return load_first(p, rest); });
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
    for (int i = 0; i < TOKENS; i++) sums[r * TOKENS + i] = own[r][i];
}

// The same with x rounded to bf16, zero past D: pairs side by side.
template <int64_t D, int ROWS, int TOKENS, bool ASK>
inline void expert_products(const BF16* const* x, const BF16* const* w, Vec* sums) {
  constexpr int64_t STEP = 2 * LANES, whole = D / STEP * STEP;
  Vec own[ROWS][TOKENS] = {};
  const auto add = [&](const BF16* const (&row)[ROWS], int64_t d) {
    if constexpr (ASK) ask_ahead<D, ROWS>(w, d);
    IntVec value[TOKENS];
#pragma GCC unroll 8
    for (int i = 0; i < TOKENS; i++) value[i] = load_pairs(x[i] + d);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
      const IntVec weight = load_pairs(row[r]);
#pragma GCC unroll 8
      for (int i = 0; i < TOKENS; i++) own[r][i] = multiply_add_pairs(value[i], weight, own[r][i]);
    }
  };
  for (int64_t d = 0; d < whole; d += STEP) {
    const BF16* row[ROWS];
    for (int r = 0; r < ROWS; r++) row[r] = w[r] + d;
    add(row, d);
  }
  if constexpr (whole < D) {
    BF16 last[ROWS][STEP] = {};
    const BF16* row[ROWS];
    for (int r = 0; r < ROWS; r++) row[r] = last[r];
    for (int r = 0; r < ROWS; r++) std::memcpy(last[r], w[r] + whole, size_t(D - whole) * sizeof(BF16));
    add(row, whole);
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
    for (int i = 0; i < TOKENS; i++) sums[r * TOKENS + i] = own[r][i];
}

// Rows [from, to) of one matrix by TOKENS tokens, a tile of rows at a time.
template <int64_t D, int TOKENS, bool ASK, class X, class W>
inline void expert_tile(const X* const* x, const W* matrix, int64_t from, int64_t to, float* const* y) {
  constexpr int ROWS = kTileRows<TOKENS>, ABREAST = kAbreast<TOKENS>, VECTORS = (ROWS * TOKENS + LANES - 1) / LANES;
  for (int64_t row = from; row < to; row += ROWS) {
    Vec sums[VECTORS][LANES] = {};
    for (int first = 0; first < ROWS; first += ABREAST) {
      const W* w[ABREAST];
      for (int r = 0; r < ABREAST; r++) w[r] = matrix + (row + first + r < to ? row + first + r : to - 1) * D;
      expert_products<D, ABREAST, TOKENS, ASK>(x, w, sums[0] + first * TOKENS);
    }
    float totals[VECTORS * LANES];
    for (int v = 0; v < VECTORS; v++) store(totals + v * LANES, sums_of(sums[v]));
    const int rows = int(to - row < ROWS ? to - row : ROWS);
    for (int r = 0; r < rows; r++)
      for (int i = 0; i < TOKENS; i++) y[i][row + r] = totals[r * TOKENS + i];
  }
}

// The same by any number of tokens: as many rows as stay in the first cache pass by all tokens before the next.
template <int64_t D, class X, class W>
inline void expert_rows(int64_t tokens, const X* const* x, const W* matrix, int64_t from, int64_t to, float* const* y) {
  for (int64_t row = from; row < to; row += EXPERT_ROWS) {
    const int64_t end = row + EXPERT_ROWS < to ? row + EXPERT_ROWS : to;
    int64_t t = 0;
    const auto tile = [&]<int TOKENS>() {
      if (t == 0) expert_tile<D, TOKENS, true>(x, matrix, row, end, y);
      else expert_tile<D, TOKENS, false>(x + t, matrix, row, end, y + t);
      t += TOKENS;
    };
    while (t + EXPERT_TOKENS <= tokens) tile.template operator()<EXPERT_TOKENS>();
    if constexpr (EXPERT_TOKENS > 2)
      while (t + 2 <= tokens) tile.template operator()<2>();
    if constexpr (EXPERT_TOKENS > 1)
      while (t < tokens) tile.template operator()<1>();
  }
}

// x: that of choice k of token t at t·ldx + k·ldk; weights (E, N, D); groups and pairs as expert_groups leaves them →
// y (T, K, N). A piece is a block of rows of one chosen matrix, so that few tokens keep all threads busy as well as many.
// Over f32 a token's result does not depend on the others. Over bf16 neither, but that tokens are rounded to bf16 themselves where
// the processor multiplies pairs of it and more than EXPERT_TOKENS chose the expert.
template <int64_t E, int64_t N, int64_t D, int64_t K, class W>
void expert_linear(Pool& pool, int64_t T, const float* x, int64_t ldx, int64_t ldk, const W* weights, const int32_t* groups,
                   const int32_t* pairs, float* y) {
  constexpr bool ROUNDS = expert_linear_scratch<D, W>() > 0;
  int64_t count = 0;
  while (count < E && groups[2 * count] < E) count++;
  // Blocks of rows: smaller where few experts are chosen.
  const int64_t rows = (count * N >= 16384 ? 64 : 32) / EXPERT_ROWS * EXPERT_ROWS, blocks = (N + rows - 1) / rows;
  if (T <= 0) return;
  pool.parallel(count * blocks, [&](int64_t piece, [[maybe_unused]] int worker) {
    const int32_t* const group = groups + piece / blocks * 2;
    const W* const matrix = weights + int64_t(group[0]) * N * D;
    const int64_t from = piece % blocks * rows, to = from + rows < N ? from + rows : N;
    const int64_t tokens = group[3] - group[1];
    for (int64_t first = 0; first < tokens; first += EXPERT_BLOCK) {
      const int64_t block = tokens - first < EXPERT_BLOCK ? tokens - first : EXPERT_BLOCK;
      const float* in[EXPERT_BLOCK];
      float* out[EXPERT_BLOCK];
      for (int64_t i = 0; i < block; i++) {
        const int64_t pair = pairs[group[1] + first + i];
        in[i] = x + pair / K * ldx + pair % K * ldk;
        out[i] = y + pair * N;
      }
      if constexpr (ROUNDS) {
        if (tokens > EXPERT_TOKENS) {
          BF16* const rounded = reinterpret_cast<BF16*>(pool.scratch(worker));
          const BF16* narrow[EXPERT_BLOCK];
          for (int64_t i = 0; i < block; i++) {
            BF16* const row = rounded + i * kExpertDepth<D>;
            round_row<D>(in[i], row);
            for (int64_t d = D; d < kExpertDepth<D>; d++) row[d] = {};
            narrow[i] = row;
          }
          expert_rows<D>(block, narrow, matrix, from, to, out);
          continue;
        }
      }
      expert_rows<D>(block, in, matrix, from, to, out);
    }
  });
}

}  // namespace ultramem
