// Scores of every key and the top k of them per token and head, without ever writing the scores (UltraMem §1 rows 5–7,
// with u and v folded into the keys as in §6.1). A few tokens' scores against a run of keys are made and searched while they
// are in the second cache; keys are read once per block of tokens.
#pragma once
#include "linear.h"
#include "topk_select.h"

namespace ultramem {

// How the work is laid out, all fixed by the shapes.
template <int64_t H, int64_t N, int64_t K>
struct ScoreTopkLayout {
  static constexpr int64_t PANELS = (N + PANEL - 1) / PANEL;
  static constexpr int64_t BLOCK = 24;  // tokens that share a reading of the keys
  // Panels whose scores are searched at once: all of a moderate N, else a run of them, from which a bound is carried on.
  static constexpr int64_t LONG_RUN = int64_t(round_up(8 * K < 1024 ? 1024 : 8 * K, PANEL)) / PANEL;
  static constexpr int64_t RUN_PANELS = PANELS <= 2 * LONG_RUN ? PANELS : LONG_RUN;
  static constexpr int64_t RUN = RUN_PANELS * PANEL;

  // Few tokens: the keys are split into parts of at least 4 panels, whose best are merged.
  static constexpr int64_t MOST_PARTS = PANELS < 8 ? 1 : PANELS / 4 < 32 ? PANELS / 4 : 32;
  static constexpr int64_t BLOCK_PARTS = (4 + H - 1) / H < MOST_PARTS ? (4 + H - 1) / H : MOST_PARTS;
  static constexpr int64_t parts(int64_t T) { return T <= TILE_ROWS ? MOST_PARTS : T <= BLOCK ? BLOCK_PARTS : 1; }

  using Selection = TopSelection<RUN, K>;
  using Merge = TopSelection<MOST_PARTS * K, K>;
  using Best = typename Selection::Best;

  // Scratch of a worker.
  struct Work {
    alignas(64) float scores[BLOCK * RUN];
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
  using Layout = ScoreTopkLayout<H, N, K>;
  return sizeof(typename Layout::Work) + (Layout::MOST_PARTS > 1 ? sizeof(typename Layout::Partial) : 0);
}

// scores (T, lds) of T tokens against panels [0, panels) of keys.
template <class E>
inline void score_panels(int64_t T, int64_t D, const float* q, int64_t ldq, const E* packed, int64_t panels, float* scores,
                         int64_t lds) {
  for (int64_t p = 0; p < panels; p++)
    for_tiles(T, [&]<int ROWS>(int64_t t) {
      constexpr int VECTORS = tile_vectors(ROWS), WIDTH = VECTORS * LANES;
      for (int64_t n = 0; n < PANEL; n += WIDTH) {
        Vec sums[ROWS][VECTORS] = {};
        multiply_tile(D, q + t * ldq, ldq, packed + p * panel_rows<E>(D) * PANEL + n * kGroup<E>, sums);
        for (int r = 0; r < ROWS; r++)
          for (int c = 0; c < VECTORS; c++) store(scores + (t + r) * lds + p * PANEL + n + c * LANES, sums[r][c]);
      }
    });
}

// q: (T, D) shared by the heads, or (T, H, D) when PerHead; token stride ldq, the D of a head contiguous, heads D apart.
// packed: H blocks of packed_elements<E>(N, D), each as pack_linear leaves the keys (N, D) of a head.
// values (T, H, K), index (T, H, K), contiguous, by the order of topk_select.h. 1 ≤ K ≤ N.
template <int64_t H, int64_t N, int64_t D, int64_t K, bool PerHead, class E>
void score_topk(Pool& pool, int64_t T, const float* q, int64_t ldq, const E* packed, float* values, int32_t* index) {
  using Layout = ScoreTopkLayout<H, N, K>;
  using Work = typename Layout::Work;
  using Best = typename Layout::Best;
  constexpr int64_t PANELS = Layout::PANELS, RUN_PANELS = Layout::RUN_PANELS, RUN = Layout::RUN;
  const int64_t blocks = (T + Layout::BLOCK - 1) / Layout::BLOCK, parts = Layout::parts(T);
  Best* const partial = reinterpret_cast<Best*>(pool.scratch(0) + sizeof(Work));  // used when parts > 1

  pool.parallel(H * blocks * parts, [&](int64_t piece, int worker) {
    Work& work = *reinterpret_cast<Work*>(pool.scratch(worker));
    const int64_t part = piece % parts, block = piece / parts % blocks, head = piece / parts / blocks;
    const int64_t first = block * T / blocks, tokens = (block + 1) * T / blocks - first;
    const int64_t end = (part + 1) * PANELS / parts;
    const float* x = q + first * ldq + (PerHead ? head * D : 0);
    const auto row = [&](int64_t t) { return (first + t) * H + head; };
    const auto best = [&](int64_t t) -> Best& { return parts > 1 ? partial[row(t) * parts + part] : work.best[t]; };
    for (int64_t t = 0; t < tokens; t++) best(t).count = 0;
    for (int64_t p = part * PANELS / parts; p < end; p += RUN_PANELS) {
      const int64_t panels = end - p < RUN_PANELS ? end - p : RUN_PANELS;
      const int64_t keys = N - p * PANEL < panels * PANEL ? N - p * PANEL : panels * PANEL;
      score_panels(tokens, D, x, ldq, packed + (head * PANELS + p) * panel_rows<E>(D) * PANEL, panels, work.scores, RUN);
      for (int64_t t = 0; t < tokens; t++) {
        const float* scores = work.scores + t * RUN;
        if (parts > 1 || p + panels < end) work.selection.offer(best(t), scores, keys, int32_t(p * PANEL));
        else work.selection.finish(best(t), scores, keys, int32_t(p * PANEL), values + row(t) * K, index + row(t) * K);
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
