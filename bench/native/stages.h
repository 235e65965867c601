// The stages of one UltraMem V1 layer as this project's kernels run them, on random weights and tokens that take turns, and what
// each must compute and move.
#pragma once
#include "machine_limits.h"
#include "norm.h"
#include "pool_linear.h"
#include "rescore_topk.h"
#include "rounds.h"
#include "score_topk.h"
#include "timing.h"

namespace ultramem {

constexpr int64_t D = 1024, KEYS = 1024, DK = 192, DV = 192, E = 4, H = 2, M = 32, RANK = 2, CORES = 2, ROWS = 1 << 18;
// Tokens that take turns: their value rows, 64 each, are several times what the third cache holds.
constexpr int64_t TOKENS = 4096;
constexpr int64_t MANY = 16;  // tokens; more gather and project in one launch

// What a stage has to do for a step. Weights that tokens share count once, rows that a token chooses once per token, and every
// token's inputs and outputs.
struct Work {
  double f32_flops = 0, bf16_flops = 0, byte_ops = 0;  // multiplications and additions, of f32, of pairs of bf16, of bytes
  double streamed = 0;                   // bytes in order
  double gathered = 0, key_rows = 0;     // bytes of rows in random order: of the value table, and of keys, which a cache holds

  Work operator+(const Work& other) const {
    return {f32_flops + other.f32_flops, bf16_flops + other.bf16_flops, byte_ops + other.byte_ops, streamed + other.streamed,
            gathered + other.gathered, key_rows + other.key_rows};
  }
};

struct Stage {
  const char* name;
  Work work;
  Contender contender;
};

// Weights stored as W and all values between the stages, each for every token.
template <class W>
class Layer {
 public:
  Layer() : numbers_(1) {
    Pool pool(1, 0);
    for (int side = 0; side < 2; side++) pack_keys<H, KEYS, DK>(pool, folded_[side], packed_[side]);
    for (size_t i = 0; i < shuffle_.size(); i++) shuffle_[i] = int32_t(i);
    std::shuffle(shuffle_.begin(), shuffle_.end(), std::minstd_rand(1));
    table_ = static_cast<W*>(huge_pages(ROWS * DV * sizeof(W)));
    // A run of numbers again and again: values do not change times, and normal numbers take long.
    constexpr int64_t run = 65521;
    const W* values = numbers_.template array<W>(run);
    for (int64_t i = 0; i < ROWS * DV; i++) table_[i] = values[i % run];
  }

  // Scratch of a worker.
  static size_t scratch() {
    return std::max({score_topk_scratch<H, KEYS, DK, M, false>(), rescore_topk_scratch<H, KEYS, RANK, DK, M, CORES, M>(),
                     linear_scratch<2 * DK, D, W>(), linear_scratch<D, E * DV, W>()});
  }

  // The stages for steps of T tokens, in order, and all of them as one; values between them are there for all tokens.
  std::vector<Stage> stages(Pool& pool, int64_t T) {
    const int64_t sets = TOKENS / T;
    for (int64_t set = 0; set < sets; set++) layer(pool, T, set * T);
    const auto turn = [&, T, sets](auto step) { return Contender{[=, this, &pool](int64_t i) { (this->*step)(pool, T, i % sets * T); }}; };
    const double t = double(T), w = sizeof(W);
    const bool pairs = sizeof(W) == 2 && kMultipliesPairs && T > TILE_ROWS;  // of bf16, which products then run on
    const auto products = [&](double flops, double streamed) { return pairs ? Work{0, flops, 0, streamed} : Work{flops, 0, 0, streamed}; };

    const Work query = products(2 * t * D * 2 * DK, w * D * 2 * DK + 4 * t * (D + 2 * DK));
    const Work norm{4 * t * 2 * DK, 0, 0, 4 * t * 2 * (2 * DK)};
    const double key_bytes = 2. * 4 * double(byte_keys_words(H, KEYS, DK));
    const Work dots{0, 0, 2 * t * 2 * H * KEYS * DK, key_bytes + 4 * t * 2 * DK};
    const Work exact{2 * t * 2 * H * M * DK, 0, 0, 8 * t * 2 * H * M, 0, w * t * 2 * H * M * DK};
    const Work rescore{2 * t * 2 * H * M * RANK * DK + 2 * t * H * M * RANK * CORES * (RANK + M), 0, 0,
                       4 * t * (2 * DK + 2 * H * M + H * M * (2 + CORES)), 0, w * t * 2 * H * M * RANK * DK};
    const Work gather{2 * t * H * M * DV, 0, 0, 4 * t * (H * M * (1 + CORES) + E * DV), w * t * H * M * DV};
    const Work project = products(2 * t * D * E * DV, w * D * E * DV + 4 * t * (E * DV + D));
    // Values between the stages stay in the second cache, or need not exist.
    Work all = query + norm + dots + exact + rescore + gather + project;
    all.streamed = w * D * (2 * DK + E * DV) + key_bytes + 4 * t * (2 * D + H * M);

    return {{"query", query, turn(&Layer::query)},
            {"norm", norm, turn(&Layer::norm)},
            {"scores and top-m", dots + exact, turn(&Layer::score)},
            {"products of scores", dots, turn(&Layer::products)},
            {"re-score", rescore, turn(&Layer::rescore)},
            {"gather and pool", gather, turn(&Layer::gather)},
            {"projection", project, turn(&Layer::project)},
            {"layer", all, turn(&Layer::layer)}};
  }

 private:
  // Each for T tokens from the t-th on.
  void query(Pool& pool, int64_t T, int64_t t) { linear<2 * DK, D>(pool, T, x_ + t * D, D, query_weight_, raw_ + t * 2 * DK, 2 * DK); }
  void norm(Pool& pool, int64_t T, int64_t t) { rms_norm_heads<2, DK>(pool, T, raw_ + t * 2 * DK, 2 * DK, norm_weight_, 1e-5f, q_ + t * 2 * DK, 2 * DK); }
  void score(Pool& pool, int64_t T, int64_t t) {
    for (int side = 0; side < 2; side++)
      score_topk<H, KEYS, DK, M, false>(pool, T, q_ + t * 2 * DK + side * DK, 2 * DK, folded_[side], packed_[side],
                                        values_.data() + t * H * M, index_[side].data() + t * H * M);
  }
  // What score_topk does before it looks for the best: the same pieces, products and rounding, and no more.
  void products(Pool& pool, int64_t T, int64_t t) {
    using Layout = ScoreTopkLayout<H, KEYS, DK, M>;
    static_assert(Layout::RUN_PANELS == Layout::PANELS, "one run of panels");
    const int64_t blocks = (T + Layout::BLOCK - 1) / Layout::BLOCK, parts = Layout::parts(T, pool.threads());
    for (int side = 0; side < 2; side++)
      pool.parallel(H * blocks * parts, [&](int64_t piece, int worker) {
        auto& work = *reinterpret_cast<typename Layout::Work*>(pool.scratch(worker));
        const int64_t part = piece % parts, block = piece / parts % blocks, head = piece / parts / blocks;
        const int64_t first = block * T / blocks, tokens = (block + 1) * T / blocks - first;
        const int64_t p = part * Layout::PANELS / parts, panels = (part + 1) * Layout::PANELS / parts - p;
        const int32_t* panel = packed_[side] + (head * Layout::PANELS + p) * byte_panel_words(DK);
        for (int64_t i = 0; i < tokens; i++)
          work.query[i] = round_query<DK>(q_ + (t + first + i) * 2 * DK + side * DK, work.words + i * query_words<DK>);
        bound_panels<DK>(tokens, work.words, work.query, panel, panels, work.upper, Layout::RUN);
      });
  }
  void rescore_ahead(Pool& pool, int64_t T, int64_t t, Prefetch next) {
    rescore_topk<H, KEYS, RANK, DK, M, CORES, M, 0, 0>(pool, T, index_[0].data() + t * H * M, H * M, index_[1].data() + t * H * M, H * M,
                                                       q_ + t * 2 * DK, 2 * DK, q_ + t * 2 * DK + DK, 2 * DK, keys_[0], keys_[1], cores_,
                                                       shuffle_.data(), slot_.data() + t * H * M, H * M, scores_ + t * H * M * CORES, H * M * CORES, next);
  }
  // Alone it asks for no value rows: they belong to the next stage.
  void rescore(Pool& pool, int64_t T, int64_t t) { rescore_ahead(pool, T, t, Prefetch{nullptr, 0, 0, false}); }
  void gather(Pool& pool, int64_t T, int64_t t) {
    gather_pool<ROWS, DV, H * M, CORES, E>(pool, T, table_, slot_.data() + t * H * M, H * M, scores_ + t * H * M * CORES, H * M * CORES, pooled_ + t * E * DV,
                                           E * DV);
  }
  void project(Pool& pool, int64_t T, int64_t t) { linear<D, E * DV>(pool, T, pooled_ + t * E * DV, E * DV, projection_, y_, D); }
  void gather_and_project(Pool& pool, int64_t T, int64_t t) {
    pool_linear<ROWS, DV, H * M, CORES, E, D>(pool, T, table_, slot_.data() + t * H * M, H * M, scores_ + t * H * M * CORES, H * M * CORES,
                                              pooled_ + t * E * DV, projection_, y_, D);
  }
  void layer(Pool& pool, int64_t T, int64_t t) {
    query(pool, T, t), norm(pool, T, t), score(pool, T, t);
    rescore_ahead(pool, T, t, Prefetch{table_, ROWS, DV * int64_t(sizeof(W)), false});
    if (T > MANY) gather_and_project(pool, T, t);
    else gather(pool, T, t), project(pool, T, t);
  }

  Numbers numbers_;
  const W* query_weight_ = numbers_.array<W>(packed_elements<W>(2 * DK, D));
  const float* norm_weight_ = numbers_.array(DK);
  const W* folded_[2] = {numbers_.array<W>(H * KEYS * DK), numbers_.array<W>(H * KEYS * DK)};
  int32_t* packed_[2] = {numbers_.array<int32_t>(byte_keys_words(H, KEYS, DK)), numbers_.array<int32_t>(byte_keys_words(H, KEYS, DK))};
  const W* keys_[2] = {numbers_.array<W>(H * KEYS * RANK * DK), numbers_.array<W>(H * KEYS * RANK * DK)};
  const float* cores_ = numbers_.array(H * CORES * RANK * RANK);
  const W* projection_ = numbers_.array<W>(packed_elements<W>(D, E * DV));
  std::vector<int32_t> shuffle_ = std::vector<int32_t>(E * ROWS);
  W* table_;

  float* x_ = numbers_.array(TOKENS * D);
  float* raw_ = numbers_.array(TOKENS * 2 * DK);
  float* q_ = numbers_.array(TOKENS * 2 * DK);
  std::vector<float> values_ = std::vector<float>(TOKENS * H * M);
  std::vector<int32_t> index_[2] = {std::vector<int32_t>(TOKENS * H * M), std::vector<int32_t>(TOKENS * H * M)};
  std::vector<int32_t> slot_ = std::vector<int32_t>(TOKENS * H * M);
  float* scores_ = numbers_.array(TOKENS * H * M * CORES);
  float* pooled_ = numbers_.array(TOKENS * E * DV);
  float* y_ = numbers_.array(TOKENS * D);
};

}  // namespace ultramem
