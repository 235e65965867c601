// Scores of every key and the top k of them per token and head, without ever writing the scores (UltraMem §1 rows 5–7,
// with u and v folded into the keys as in §6.1), in two passes over a quarter of the bytes. The first finds from keys as bytes what every
// score is at most, so that few keys may be among the best: the second scores those exactly. A few tokens' bounds of a run of keys
// are made and searched while they are in the second cache; keys are read once per block of tokens.
#pragma once
#include "bounded_select.h"
#include "byte_keys.h"
#include "dot_rows.h"

namespace ultramem {

// How the work is laid out, by the shapes and the threads; what is chosen does not depend on it, nor do its values.
template <int64_t H, int64_t N, int64_t D, int64_t K>
struct ScoreTopkLayout {
  static constexpr int64_t PANELS = (N + PANEL - 1) / PANEL;
  static constexpr int64_t BLOCK = 24;  // tokens that share a reading of the keys
  // Panels whose scores are searched at once: all of a moderate N, else a run of them, from which a bound is carried on.
  static constexpr int64_t LONG_RUN = int64_t(round_up(8 * K < 1024 ? 1024 : 8 * K, PANEL)) / PANEL;
  static constexpr int64_t RUN_PANELS = PANELS <= 2 * LONG_RUN ? PANELS : LONG_RUN;
  static constexpr int64_t RUN = RUN_PANELS * PANEL;

  // Few tokens: the keys are split into parts of at least 4 panels, whose best are merged, but no further than threads need it:
  // each part chooses as many as the whole.
  static constexpr int64_t MOST_PARTS = PANELS < 8 ? 1 : PANELS / 4 < 32 ? PANELS / 4 : 32;
  static constexpr int64_t BLOCK_PARTS = (4 + H - 1) / H < MOST_PARTS ? (4 + H - 1) / H : MOST_PARTS;
  static constexpr int64_t parts(int64_t T, int threads) {
    const int64_t most = T <= TILE_ROWS ? MOST_PARTS : T <= BLOCK ? BLOCK_PARTS : 1;
    int64_t parts = 1;
    while (parts < most && H * parts % threads != 0 && H * parts < 4 * threads) parts++;
    return parts;
  }

  using Selection = BoundedSelection<RUN, K>;
  using Merge = TopSelection<MOST_PARTS * K, K>;
  using Best = typename Selection::Best;

  // Scratch of a worker.
  struct Work {
    alignas(64) float upper[BLOCK * RUN];
    alignas(64) int32_t words[BLOCK * query_words<D>];
    RoundedQuery query[BLOCK];
    Selection selection;
    Merge merge;
    Best best[BLOCK];
  };
  // Behind the Work of worker 0, and so left alone by its pieces: (token, head, part).
  struct Partial {
    Best best[H * (TILE_ROWS * MOST_PARTS > BLOCK * BLOCK_PARTS ? TILE_ROWS * MOST_PARTS : BLOCK * BLOCK_PARTS)];
  };
};

template <int64_t H, int64_t N, int64_t D, int64_t K, bool PerHead>
constexpr size_t score_topk_scratch() {
  using Layout = ScoreTopkLayout<H, N, D, K>;
  return sizeof(typename Layout::Work) + (Layout::MOST_PARTS > 1 ? sizeof(typename Layout::Partial) : 0);
}

// y[i] = q · keys[index[i]], LANES of them side by side.
template <int64_t D, class E>
inline void score_keys(const float* q, const E* keys, const int32_t* index, int64_t count, float* y) {
  DotQuery<D, E> query;
  query.set(q);
  for (int64_t first = 0; first < count; first += LANES) {
    const int n = int(count - first < LANES ? count - first : LANES);
    const E* rows[LANES];
    for (int i = 0; i < LANES; i++) rows[i] = keys + index[first + (i < n ? i : 0)] * D;
    store_first(y + first, dot_rows<D>([&](int) { return query.at(); }, rows, n), n);
  }
}

// q: (T, D) shared by the heads, or (T, H, D) when PerHead; token stride ldq, the D of a head contiguous, heads D apart.
// keys (H, N, D); packed as pack_keys leaves them.
// values (T, H, K), index (T, H, K), contiguous, by the order of topk_select.h. 1 ≤ K ≤ N.
template <int64_t H, int64_t N, int64_t D, int64_t K, bool PerHead, class E>
void score_topk(Pool& pool, int64_t T, const float* q, int64_t ldq, const E* keys, const int32_t* packed, float* values,
                int32_t* index) {
  using Layout = ScoreTopkLayout<H, N, D, K>;
  using Work = typename Layout::Work;
  using Best = typename Layout::Best;
  constexpr int64_t PANELS = Layout::PANELS, RUN_PANELS = Layout::RUN_PANELS, RUN = Layout::RUN;
  const int64_t blocks = (T + Layout::BLOCK - 1) / Layout::BLOCK, parts = Layout::parts(T, pool.threads());
  Best* const partial = reinterpret_cast<Best*>(pool.scratch(0) + sizeof(Work));  // used when parts > 1

  pool.parallel(H * blocks * parts, [&](int64_t piece, int worker) {
    Work& work = *reinterpret_cast<Work*>(pool.scratch(worker));
    const int64_t part = piece % parts, block = piece / parts % blocks, head = piece / parts / blocks;
    const int64_t first = block * T / blocks, tokens = (block + 1) * T / blocks - first;
    const int64_t end = (part + 1) * PANELS / parts;
    const float* x = q + first * ldq + (PerHead ? head * D : 0);
    const auto row = [&](int64_t t) { return (first + t) * H + head; };
    const auto best = [&](int64_t t) -> Best& { return parts > 1 ? partial[row(t) * parts + part] : work.best[t]; };
    for (int64_t t = 0; t < tokens; t++) {
      best(t).count = 0;
      work.query[t] = round_query<D>(x + t * ldq, work.words + t * query_words<D>);
    }
    for (int64_t p = part * PANELS / parts; p < end; p += RUN_PANELS) {
      const int64_t panels = end - p < RUN_PANELS ? end - p : RUN_PANELS;
      const int64_t count = N - p * PANEL < panels * PANEL ? N - p * PANEL : panels * PANEL;
      const int32_t* panel = packed + (head * PANELS + p) * byte_panel_words(D);
      bound_panels<D>(tokens, work.words, work.query, panel, panels, work.upper, RUN);
      for (int64_t t = 0; t < tokens; t++) {
        const auto score = [&](const int32_t* at, int64_t n, float* to) { score_keys<D>(x + t * ldq, keys + head * N * D, at, n, to); };
        work.selection.collect(best(t), work.upper + t * RUN, count, int32_t(p * PANEL), score);
        if (parts > 1 || p + panels < end) work.selection.leave(best(t));
        else work.selection.write(values + row(t) * K, index + row(t) * K);
      }
    }
  });
  if (parts == 1) return;
  const auto merge = [&](int64_t row, int worker) {
    Work& work = *reinterpret_cast<Work*>(pool.scratch(worker));
    work.merge.merge(partial + row * parts, parts, values + row * K, index + row * K);
  };
  if (T * H > 4) return pool.parallel(T * H, merge);
  for (int64_t row = 0; row < T * H; row++) merge(row, 0);
}

}  // namespace ultramem
