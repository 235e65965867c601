// The top k of values of which little is known but what each is at most, and which cost something to know: see score_topk.h.
#pragma once
#include "topk_select.h"

namespace ultramem {

template <int64_t RUN, int64_t K>
class BoundedSelection : public TopSelection<RUN, K> {
 public:
  using typename TopSelection<RUN, K>::Best;

  // Collects all of a run that may be among the K best with those of `best`, with their values: score(index, count, values) gives
  // them. upper[0 … n): what the values of first … first + n are at most, none NaN. `leave` or `write` takes the best.
  //
  // Values of any K are known: the least of them is no more than the K-th best of all, so that whatever is at most less has K betters.
  template <class Score>
  void collect(const Best& best, const float* upper, int64_t n, int32_t first, const Score& score) {
    this->bring(best);
    const int64_t had = count_;
    float bound;
    if (had == K && best.worst != INT_MIN) {
      const Vec worst = splat(order_value(best.worst));  // an equal one has a higher index, so it cannot enter
      count_ += pack(upper, n, first, index_ + had, [&](Vec v) { return greater(v, worst); });
      score(index_ + had, count_ - had, values_ + had);
    } else if (had == 0 && this->reached(upper, n, bound)) {
      collect_first(upper, n, first, bound, score);
    } else {
      for (int64_t i = 0; i < n; i++) index_[had + i] = first + int32_t(i);
      count_ += n;
      score(index_ + had, n, values_ + had);
    }
  }

 private:
  using Base = TopSelection<RUN, K>;
  using Base::count_, Base::index_, Base::keys_, Base::values_, Base::CAPACITY;

  alignas(64) float exact_[CAPACITY];  // of value first + i of the run
  alignas(64) int32_t rest_[CAPACITY];
  alignas(64) float rest_values_[CAPACITY];

  // Those that reach the bound, at least K, tell how good the K-th is at least; then the rest that may be as good.
  template <class Score>
  void collect_first(const float* upper, int64_t n, int32_t first, float bound, const Score& score) {
    const Vec high = splat(bound);
    count_ = pack(upper, n, first, index_, [&](Vec v) { return at_least(v, high); });
    score(index_, count_, values_);
    const auto [lowest, highest] = this->find_keys();
    const int32_t key = reached_by(K, 0, keys_, int64_t(round_up(size_t(count_), LANES)), lowest, highest);
    const float least = key == INT_MIN ? -std::numeric_limits<float>::infinity() : order_value(key);
    if (least > bound) return;
    for (int64_t i = 0; i < count_; i++) exact_[index_[i] - first] = values_[i];
    const Vec low = splat(least);
    const int64_t others = pack(upper, n, first, rest_, [&](Vec v) { return at_least(v, low) & ~at_least(v, high); });
    score(rest_, others, rest_values_);
    for (int64_t i = 0; i < others; i++) exact_[rest_[i] - first] = rest_values_[i];
    // By index again, as ties want it.
    count_ = pack(upper, n, first, index_, [&](Vec v) { return at_least(v, low); });
    for (int64_t i = 0; i < count_; i++) values_[i] = exact_[index_[i] - first];
  }

  // Indices of values that are kept, in order; returns how many.
  template <class Kept>
  static int64_t pack(const float* upper, int64_t n, int32_t first, int32_t* to, const Kept& kept) {
    IntVec index = iota() + first;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += LANES, index += LANES) {
      const uint32_t lanes = kept(Base::scores_at(upper, i, n));
      if (LANES < 8 && !lanes) continue;  // packing lane by lane costs more than a wrong guess
      count += compress(to + count, index, lanes);
    }
    return count;
  }
};

}  // namespace ultramem
