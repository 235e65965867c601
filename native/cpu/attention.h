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
      for (int l = 0; l < LANES; l++) lanes[l] += q * load(row[l] + d);
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

// The running softmax over the scores of a tile, weights [rows,TILE]. Row r sees the first visible[r] of n positions.
template <int64_t D>
inline void weigh_tile(AttentionMemory<D>& m, int64_t n, int64_t rows, const int64_t* visible) {
  constexpr int64_t TILE = AttentionMemory<D>::TILE, WIDE = AttentionMemory<D>::WIDE;
  for (int64_t r = 0; r < rows; r++) {
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
}

// One tile of n positions for `rows` query rows of one kv head, enough of them to pay for a transposed tile.
template <int64_t D>
inline void attend_tile(AttentionMemory<D>& m, const float* keys, const float* values, int64_t stride, int64_t n, int64_t rows,
                        const int64_t* visible) {
  constexpr int64_t TILE = AttentionMemory<D>::TILE, WIDE = AttentionMemory<D>::WIDE;
  int64_t r = 0;
  transpose_keys<D>(keys, stride, n, m.keys);
  for (; r + 4 <= rows; r += 4) score_tile<D, 4>(m.query + r * WIDE, m.keys, m.weights + r * TILE);
  for (; r < rows; r++) score_tile<D, 1>(m.query + r * WIDE, m.keys, m.weights + r * TILE);
  weigh_tile<D>(m, n, rows, visible);
  for (r = 0; r + 4 <= rows; r += 4) add_values<D, 4>(m.weights + r * TILE, values, stride, n, m.sums + r * WIDE);
  for (; r < rows; r++) add_values<D, 1>(m.weights + r * TILE, values, stride, n, m.sums + r * WIDE);
}

// The same for the few rows, `each` per head, of `heads` kv heads that lie side by side. All heads' part of a block of positions
// is read before the next block, which is asked for meanwhile: memory in the order of its addresses, at twice the speed of a
// head's columns. after: the keys of the next tile, or null.
template <int64_t D>
inline void attend_heads(AttentionMemory<D>& m, const float* keys, const float* values, const float* after, int64_t stride,
                         int64_t n, int64_t heads, int64_t each, const int64_t* visible) {
  constexpr int64_t TILE = AttentionMemory<D>::TILE, WIDE = AttentionMemory<D>::WIDE, BLOCK = LANES;
  const auto sweep = [&](const float* tile, const float* next, const auto& body) {
    for (int64_t i = 0; i < n; i += BLOCK) {
      const float* ahead = i + BLOCK < n ? tile + (i + BLOCK) * stride : next;
      for (int64_t h = 0; h < heads; h++) {
        if (ahead)
          for (int64_t row = h * BLOCK / heads; row < (h + 1) * BLOCK / heads; row++)
            for (int64_t d = 0; d < heads * D; d += 16) __builtin_prefetch(ahead + row * stride + d);
        for (int64_t r = h * each; r < (h + 1) * each; r++) body(r, i, tile + i * stride + h * D, std::min(BLOCK, n - i));
      }
    }
  };
  sweep(keys, values, [&](int64_t r, int64_t i, const float* block, int64_t positions) {
    score_row<D>(m.query + r * WIDE, block, stride, positions, m.weights + r * TILE + i);
  });
  weigh_tile<D>(m, n, heads * each, visible);
  sweep(values, after, [&](int64_t r, int64_t i, const float* block, int64_t positions) {
    add_values<D, 1>(m.weights + r * TILE + i, block, stride, positions, m.sums + r * WIDE);
  });
}

// q [T,Hq,D], k and v [T,Hkv,D] (token strides ldq, ldk, ldv), positions [T], sequence [T], kcache and vcache
// [S,C,Hkv,D] → y [T,Hq,D]. First writes k and v at (sequence, position); then token t attends positions
// 0..positions[t] of its own sequence. Query head i reads kv head i / (Hq/Hkv). 0 ≤ positions < C, 0 ≤ sequence < S.
//
// Tokens of one sequence that stand side by side, a run, share the tiles of the cache. A tile past a row's own position adds exact
// zeros, so sharing changes no bit of a row. Runs of few rows are swept over several kv heads at once, others head by head.
template <int64_t Hq, int64_t Hkv, int64_t D, int64_t C>
void attention(Pool& pool, int64_t T, const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
               const int32_t* positions, const int32_t* sequence, float scale, float* kcache, float* vcache, float* y,
               int64_t ldy) {
  static_assert(Hq % Hkv == 0, "query heads share kv heads evenly");
  using Memory = AttentionMemory<D>;
  constexpr int64_t group = Hq / Hkv, stride = Hkv * D, FEW = 3;
  parallel_rows(pool, T, rows_per_piece(4 * stride), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t at = (static_cast<int64_t>(sequence[t]) * C + positions[t]) * stride;
      std::memcpy(kcache + at, k + t * ldk, stride * sizeof(float));
      std::memcpy(vcache + at, v + t * ldv, stride * sizeof(float));
    }
  });

  // Rows of a sweep: kv heads × tokens × query heads of the kv head; large groups go in several sweeps, from query head `head` on.
  constexpr int64_t heads = std::min(group, Memory::ROWS), tokens = Memory::ROWS / heads;
  const auto end_of_run = [&](int64_t first) {
    const int64_t last = std::min(T, (first / tokens + 1) * tokens);
    int64_t next = first + 1;
    while (next < last && sequence[next] == sequence[first]) next++;
    return next;
  };
  const auto sweep = [&](int64_t first, int64_t next, int64_t kv, int64_t kv_heads, int64_t head, int64_t head_count, Memory& m) {
    const int64_t each = (next - first) * head_count, rows = kv_heads * each;
    const auto token_of = [&](int64_t r) { return first + r % each / head_count; };
    const auto head_of = [&](int64_t r) { return head + r / each * group + r % head_count; };
    int64_t longest = 0;
    for (int64_t r = 0; r < rows; r++) {
      const float* from = q + token_of(r) * ldq + head_of(r) * D;
      for (int64_t d = 0; d < D; d++) m.query[r * Memory::WIDE + d] = from[d] * scale;
      std::fill_n(m.sums + r * Memory::WIDE, Memory::WIDE, 0.f);
      m.top[r] = -INFINITY;
      m.total[r] = 0;
      longest = std::max<int64_t>(longest, positions[token_of(r)] + 1);
    }
    const int64_t base = static_cast<int64_t>(sequence[first]) * C * stride + kv * D;
    for (int64_t p = 0; p < longest; p += Memory::TILE) {
      const float *keys = kcache + base + p * stride, *values = vcache + base + p * stride;
      const int64_t n = std::min<int64_t>(Memory::TILE, longest - p);
      int64_t visible[Memory::ROWS];
      for (int64_t r = 0; r < rows; r++) visible[r] = positions[token_of(r)] + 1 - p;
      if (each < FEW)
        attend_heads<D>(m, keys, values, p + n < longest ? keys + n * stride : nullptr, stride, n, kv_heads, each, visible);
      else
        attend_tile<D>(m, keys, values, stride, n, rows, visible);
    }
    for (int64_t r = 0; r < rows; r++) {
      float* to = y + token_of(r) * ldy + head_of(r) * D;
      const float inverse = 1 / m.total[r];
      for (int64_t d = 0; d < D; d++) to[d] = m.sums[r * Memory::WIDE + d] * inverse;
    }
  };

  // Pieces: first a block of flat tokens and one kv head, or part of its group, for the runs of many rows; then a token and some
  // kv heads, for the run of few rows that it begins. There are as few parts of kv heads as leave no thread idle.
  constexpr int64_t splits = (group + heads - 1) / heads;
  const int64_t blocks = (T + tokens - 1) / tokens, block_pieces = blocks * Hkv * splits;
  int64_t parts = 1;
  if constexpr (group < FEW) {
    while (parts < Hkv && T * parts % pool.threads() && T * parts < 4 * pool.threads()) parts++;
    parts = std::max(parts, (Hkv * 2 * group + Memory::ROWS - 1) / Memory::ROWS);
  }
  const int64_t together = (Hkv + parts - 1) / parts;
  pool.parallel(block_pieces + (group < FEW ? T * parts : 0), [&](int64_t piece, int worker) {
    Memory& m = *reinterpret_cast<Memory*>(pool.scratch(worker));
    if (piece < block_pieces) {
      // Late tokens of a long prompt have the most to do: hand them out first.
      const int64_t block = blocks - 1 - piece / (Hkv * splits), kv = piece / splits % Hkv, head = kv * group + piece % splits * heads;
      const int64_t head_count = std::min(heads, (kv + 1) * group - head), last = std::min(T, (block + 1) * tokens);
      for (int64_t first = block * tokens, next; first < last; first = next) {
        next = end_of_run(first);
        if ((next - first) * group >= FEW) sweep(first, next, kv, 1, head, head_count, m);
      }
    } else {
      const int64_t first = (piece - block_pieces) / parts, kv = (piece - block_pieces) % parts * together;
      const bool begins = first % tokens == 0 || sequence[first - 1] != sequence[first];
      if (kv >= Hkv || !begins) return;
      const int64_t next = end_of_run(first);
      if ((next - first) * group < FEW) sweep(first, next, kv, std::min(together, Hkv - kv), kv * group, group, m);
    }
  });
}

}  // namespace ultramem
