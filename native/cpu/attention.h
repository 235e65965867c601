// Causal attention over a KV cache, for flat tokens of any mix of sequences.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "extents.h"
#include "vector_math.h"

namespace ultramem {

// One worker's memory: up to ROWS query rows (a row: one token and query head) against tiles of TILE positions.
template <int64_t D>
struct AttentionMemory {
  static constexpr int64_t TILE = 64;  // positions; a multiple of LANES
  static constexpr int64_t ROWS = 32;
  static constexpr int64_t WIDE = round_up(D, LANES);
  alignas(64) float query[ROWS * WIDE];   // [ROWS,D], scaled
  alignas(64) float keys[WIDE * TILE];    // a tile of keys, transposed: [D,TILE]
  alignas(64) float weights[ROWS * TILE];
  alignas(64) float sums[ROWS * WIDE];    // Σ weight · value so far, [ROWS,D]
  float top[ROWS], total[ROWS];           // running maximum and Σ weight
};

template <int64_t Hq, int64_t Hkv, int64_t D, int64_t C>
constexpr size_t attention_scratch() {
  return sizeof(AttentionMemory<D>);
}

// A square block of LANES vectors, transposed in place: off-diagonal quarters swap, then those of each quarter, and so on.
inline void transpose_block(Vec (&rows)[LANES]) {
#pragma GCC unroll 4
  for (int half = LANES / 2; half > 0; half /= 2) {
    IntVec upper, lower;
    for (int l = 0; l < LANES; l++) {
      upper[l] = l & half ? LANES + (l ^ half) : l;
      lower[l] = l & half ? LANES + l : l ^ half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
      if (!(i & half)) {
        const Vec a = rows[i], b = rows[i + half];
        rows[i] = __builtin_shuffle(a, b, upper);
        rows[i + half] = __builtin_shuffle(a, b, lower);
      }
  }
}

// keys [n, stride] (n ≤ TILE) → transposed tile [D,TILE]; columns past n repeat the last one.
template <int64_t D>
inline void transpose_keys(const float* keys, int64_t stride, int64_t n, float* tile) {
  constexpr int64_t TILE = AttentionMemory<D>::TILE;
  for (int64_t i = 0; i < TILE; i += LANES)
    for (int64_t d = 0; d < D; d += LANES) {
      const int width = static_cast<int>(std::min<int64_t>(LANES, D - d));
      Vec block[LANES];
#pragma GCC unroll 16
      for (int l = 0; l < LANES; l++) {
        const float* from = keys + std::min<int64_t>(i + l, n - 1) * stride + d;
        block[l] = width == LANES ? load(from) : load_first(from, width);
      }
      transpose_block(block);
#pragma GCC unroll 16
      for (int l = 0; l < LANES; l++) store(tile + (d + l) * TILE + i, block[l]);
    }
}

// Scores of Rows query rows against a transposed tile: weights [Rows,TILE].
template <int64_t D, int Rows>
inline void score_tile(const float* query, const float* tile, float* weights) {
  using Memory = AttentionMemory<D>;
  constexpr int64_t TILE = Memory::TILE;
  constexpr int vectors = LANES == 4 ? 2 : 4;
  for (int64_t i = 0; i < TILE; i += vectors * LANES) {
    Vec score[Rows][vectors] = {};
    for (int64_t d = 0; d < D; d++) {
      Vec key[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) key[v] = load(tile + d * TILE + i + v * LANES);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; r++) {
        const Vec q = splat(query[r * Memory::WIDE + d]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) score[r][v] += q * key[v];
      }
    }
    for (int r = 0; r < Rows; r++)
      for (int v = 0; v < vectors; v++) store(weights + r * TILE + i + v * LANES, score[r][v]);
  }
}

// The same for one row, keys read where they are, LANES of them side by side; weights past n are written too.
template <int64_t D>
inline void score_row(const float* query, const float* keys, int64_t stride, int64_t n, float* weights) {
  constexpr int64_t whole = D / LANES * LANES;
  for (int64_t i = 0; i < n; i += LANES) {
    const float* row[LANES];
    for (int l = 0; l < LANES; l++) row[l] = keys + std::min<int64_t>(i + l, n - 1) * stride;
    Vec lanes[LANES] = {};
    for (int64_t d = 0; d < whole; d += LANES) {
      const Vec q = load(query + d);
#pragma GCC unroll 16
      for (int l = 0; l < LANES; l++) {
        lanes[l] += q * load(row[l] + d);
        if (d % 16 == 0) __builtin_prefetch(row[l] + LANES * stride + d);
      }
    }
    if constexpr (whole < D)
      for (int l = 0; l < LANES; l++) lanes[l] += load_first(query + whole, D - whole) * load_first(row[l] + whole, D - whole);
    store(weights + i, sums_of(lanes));
  }
}

// sums [Rows,D] += weights [Rows,TILE] · values [n,D].
template <int64_t D, int Rows>
inline void add_values(const float* weights, const float* values, int64_t stride, int64_t n, float* sums) {
  using Memory = AttentionMemory<D>;
  constexpr int vectors = LANES == 4 ? 2 : 4;
  for (int64_t d = 0; d < D; d += vectors * LANES) {
    Vec total[Rows][vectors];
    const auto part = [&](int v) { return static_cast<int>(std::clamp<int64_t>(D - d - v * LANES, 0, LANES)); };
    for (int r = 0; r < Rows; r++)
      for (int v = 0; v < vectors; v++)
        total[r][v] = part(v) ? load(sums + r * Memory::WIDE + d + v * LANES) : Vec{};
    for (int64_t i = 0; i < n; i++) {
      Vec value[vectors];
      const float* at = values + i * stride + d;
      if constexpr (Rows == 1)
        for (int64_t ahead = 0; ahead < vectors * LANES; ahead += 16) __builtin_prefetch(at + 8 * stride + ahead);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++)
        value[v] = part(v) == LANES ? load(at + v * LANES) : part(v) ? load_first(at + v * LANES, part(v)) : Vec{};
#pragma GCC unroll 4
      for (int r = 0; r < Rows; r++) {
        const Vec w = splat(weights[r * Memory::TILE + i]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) total[r][v] += w * value[v];
      }
    }
    for (int r = 0; r < Rows; r++)
      for (int v = 0; v < vectors; v++)
        if (part(v)) store(sums + r * Memory::WIDE + d + v * LANES, total[r][v]);
  }
}

// One tile of n positions for `rows` query rows: scores, running softmax, values. Row r sees the first visible[r].
template <int64_t D>
inline void attend_tile(AttentionMemory<D>& m, const float* keys, const float* values, int64_t stride, int64_t n, int64_t rows,
                        const int64_t* visible) {
  constexpr int64_t TILE = AttentionMemory<D>::TILE, WIDE = AttentionMemory<D>::WIDE;
  int64_t r = 0;
  if (rows < 3) {  // too few to pay for a transposed tile
    for (; r < rows; r++) score_row<D>(m.query + r * WIDE, keys, stride, n, m.weights + r * TILE);
  } else {
    transpose_keys<D>(keys, stride, n, m.keys);
    for (; r + 4 <= rows; r += 4) score_tile<D, 4>(m.query + r * WIDE, m.keys, m.weights + r * TILE);
    for (; r < rows; r++) score_tile<D, 1>(m.query + r * WIDE, m.keys, m.weights + r * TILE);
  }
  for (r = 0; r < rows; r++) {
    float* w = m.weights + r * TILE;
    const int64_t seen = std::clamp<int64_t>(visible[r], 0, n);
    for (int64_t i = seen; i < TILE; i++) w[i] = -INFINITY;
    Vec tops = splat(m.top[r]);
    for (int64_t i = 0; i < TILE; i += LANES) tops = max(load(w + i), tops);
    const float top = largest(tops);
    // Nothing seen yet, or -∞ alone: a finite maximum keeps the weights at 0 instead of NaN from ∞ - ∞.
    const float base = top == -INFINITY ? 0.f : top;
    Vec totals{};
    for (int64_t i = 0; i < TILE; i += LANES) {
      const Vec e = exponential(load(w + i) - base, Vec{});
      store(w + i, e);
      totals += e;
    }
    const float shrink = exponential(splat(m.top[r] - base), Vec{})[0];
    m.total[r] = m.total[r] * shrink + sum(totals);
    if (top != m.top[r])
      for (int64_t d = 0; d < WIDE; d += LANES) store(m.sums + r * WIDE + d, load(m.sums + r * WIDE + d) * shrink);
    m.top[r] = top;
  }
  for (r = 0; r + 4 <= rows; r += 4) add_values<D, 4>(m.weights + r * TILE, values, stride, n, m.sums + r * WIDE);
  for (; r < rows; r++) add_values<D, 1>(m.weights + r * TILE, values, stride, n, m.sums + r * WIDE);
}

// q [T,Hq,D], k and v [T,Hkv,D] (token strides ldq, ldk, ldv), positions [T], sequence [T], kcache and vcache
// [S,C,Hkv,D] → y [T,Hq,D]. First writes k and v at (sequence, position); then token t attends positions
// 0..positions[t] of its own sequence. Query head i reads kv head i / (Hq/Hkv). 0 ≤ positions < C, 0 ≤ sequence < S.
//
// A piece is one kv head and a block of flat tokens; within it, tokens of one sequence that stand side by side share
// the tiles of the cache. A tile past a row's own position adds exact zeros, so sharing changes no bit of a row.
template <int64_t Hq, int64_t Hkv, int64_t D, int64_t C>
void attention(Pool& pool, int64_t T, const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
               const int32_t* positions, const int32_t* sequence, float scale, float* kcache, float* vcache, float* y,
               int64_t ldy) {
  static_assert(Hq % Hkv == 0, "query heads share kv heads evenly");
  using Memory = AttentionMemory<D>;
  constexpr int64_t group = Hq / Hkv, stride = Hkv * D;
  parallel_rows(pool, T, rows_per_piece(4 * stride), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t at = (static_cast<int64_t>(sequence[t]) * C + positions[t]) * stride;
      std::memcpy(kcache + at, k + t * ldk, stride * sizeof(float));
      std::memcpy(vcache + at, v + t * ldv, stride * sizeof(float));
    }
  });
  // Rows of a sweep over the cache: tokens × query heads of the kv head; large groups go in several sweeps.
  constexpr int64_t heads = std::min(group, Memory::ROWS), tokens = Memory::ROWS / heads;
  constexpr int64_t sweeps = (group + heads - 1) / heads;
  const int64_t blocks = (T + tokens - 1) / tokens;
  pool.parallel(blocks * Hkv * sweeps, [&](int64_t piece, int worker) {
    Memory& m = *reinterpret_cast<Memory*>(pool.scratch(worker));
    // Late tokens of a long prompt have the most to do: hand them out first.
    const int64_t block = blocks - 1 - piece / (Hkv * sweeps), kv = piece / sweeps % Hkv, head = kv * group + piece % sweeps * heads;
    const int64_t head_count = std::min(heads, (kv + 1) * group - head);
    const int64_t last = std::min(T, (block + 1) * tokens);
    for (int64_t first = block * tokens, next; first < last; first = next) {
      for (next = first + 1; next < last && sequence[next] == sequence[first]; next++) {
      }
      const int64_t rows = (next - first) * head_count;
      int64_t longest = 0;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t t = first + r / head_count;
        const float* from = q + t * ldq + (head + r % head_count) * D;
        for (int64_t d = 0; d < D; d++) m.query[r * Memory::WIDE + d] = from[d] * scale;
        std::fill_n(m.sums + r * Memory::WIDE, Memory::WIDE, 0.f);
        m.top[r] = -INFINITY;
        m.total[r] = 0;
        longest = std::max<int64_t>(longest, positions[t] + 1);
      }
      const int64_t base = static_cast<int64_t>(sequence[first]) * C * stride + kv * D;
      for (int64_t p = 0; p < longest; p += Memory::TILE) {
        int64_t visible[Memory::ROWS];
        for (int64_t r = 0; r < rows; r++) visible[r] = positions[first + r / head_count] + 1 - p;
        attend_tile<D>(m, kcache + base + p * stride, vcache + base + p * stride, stride, std::min<int64_t>(Memory::TILE, longest - p), rows, visible);
      }
      for (int64_t r = 0; r < rows; r++) {
        float* to = y + (first + r / head_count) * ldy + (head + r % head_count) * D;
        const float inverse = 1 / m.total[r];
        for (int64_t d = 0; d < D; d++) to[d] = m.sums[r * Memory::WIDE + d] * inverse;
      }
    }
  });
}

}  // namespace ultramem
