// The order of top-k, and selection by it: descending; equal values: the lower index first; NaN last.
//
// No sorting of what is not kept: a bound that at least k values reach comes from the maxima of groups of values, one
// scan packs the few that reach it, an exact cut leaves k, and their ranks are counted against one another.
#pragma once
#include <algorithm>
#include <climits>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "simd.h"

namespace ultramem {

// Keys are integers in the order of the values they stand for: equal for +0 and −0, INT_MIN for every NaN.
inline IntVec order_keys(Vec v) {
  const IntVec bits = IntVec(v + 0.0f);
  return v == v ? bits ^ ((bits >> 31) & INT_MAX) : splat(int32_t(INT_MIN));
}
inline int32_t order_key(float value) {
  if (value != value) return INT_MIN;
  value += 0.0f;
  int32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits ^ ((bits >> 31) & INT_MAX);
}
// The value of a key; not for INT_MIN.
inline float order_value(int32_t key) {
  key ^= (key >> 31) & INT_MAX;
  float value;
  std::memcpy(&value, &key, 4);
  return value;
}

// True when value a at index i stands before value b at index j.
inline bool stands_before(float a, int32_t i, float b, int32_t j) {
  const int32_t x = order_key(a), y = order_key(b);
  return x != y ? x > y : i < j;
}

// A key that at least k of the keys reach, and no more than k + slack unless keys are equal. At least k of them reach
// `low`, none exceeds `high`. n: a multiple of LANES.
inline int32_t reached_by(int64_t k, int64_t slack, const int32_t* keys, int64_t n, int32_t low, int32_t high) {
  int64_t lo = low, hi = high;
  while (lo < hi) {
    const int64_t middle = lo + (hi - lo + 1) / 2;
    const IntVec below = splat(int32_t(middle - 1));
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += LANES) count += __builtin_popcount(greater(load(keys + i), below));
    // Which way it goes cannot be foretold, so no branch.
    const bool enough = count >= k;
    lo = enough ? middle : lo;
    hi = enough ? hi : middle - 1;
    if (enough & (count <= k + slack)) break;
  }
  return int32_t(lo);
}

// Selects the top K of a row that comes in runs of at most RUN values, in order. Memory of one worker; one row at a time,
// unless `best` is saved and brought back between runs.
template <int64_t RUN, int64_t K>
class TopSelection {
 public:
  // The K best so far in no order but this: of equal values the lower index comes first. Fewer until K were seen.
  struct Best {
    int32_t count;
    int32_t worst;  // the last one's key
    float values[K];
    int32_t index[K];
  };

  // Offers scores[0 … n) whose indices are first … first + n; n ≤ RUN. `best` holds the runs before.
  void offer(Best& best, const float* scores, int64_t n, int32_t first) {
    collect(best, scores, n, first);
    leave(best);
  }

  void leave(Best& best) {
    if (count_ > K) cut();
    best.count = int32_t(count_);
    best.worst = INT_MAX;
    for (int64_t i = 0; i < count_; i++) {
      best.values[i] = values_[i];
      best.index[i] = index_[i];
      best.worst = std::min(best.worst, order_key(values_[i]));
    }
  }

  // Offers the last run and writes the K best of the row, in order. `best` is left as it was.
  void finish(const Best& best, const float* scores, int64_t n, int32_t first, float* values, int32_t* index) {
    collect(best, scores, n, first);
    write(values, index);
  }

  // The K best of what was collected, in order.
  void write(float* values, int32_t* index) {
    if (count_ > K + K / 4 + 16) cut();
    write_in_order(values, index);
  }

  // The top K of one run, 1 ≤ K ≤ n ≤ RUN.
  void select(const float* scores, int64_t n, float* values, int32_t* index) {
    count_ = 0;
    collect_first(scores, n, 0);
    write(values, index);
  }

  // The top K of the bests of consecutive parts of a row, at least K and at most RUN values in all.
  template <class PartBest>
  void merge(const PartBest* bests, int64_t parts, float* values, int32_t* index) {
    count_ = 0;
    for (int64_t part = 0; part < parts; part++) {
      const PartBest& best = bests[part];
      std::copy(best.values, best.values + best.count, values_ + count_);
      std::copy(best.index, best.index + best.count, index_ + count_);
      count_ += best.count;
    }
    write(values, index);
  }

 protected:
  static constexpr int64_t CAPACITY = round_up(K + RUN, 4 * LANES) + LANES;  // packing stores whole vectors
  static constexpr int64_t GROUPS = round_up(2 * K, LANES);                  // whose maxima bound the K-th value
  static constexpr int64_t COUNTED = 384;  // candidates whose ranks are counted; more are sorted

  alignas(64) float values_[CAPACITY];
  alignas(64) int32_t index_[CAPACITY];
  alignas(64) int32_t keys_[CAPACITY];
  alignas(64) int32_t ranks_[CAPACITY];
  alignas(64) int32_t taken_[CAPACITY];
  alignas(64) float ordered_values_[CAPACITY];
  alignas(64) int32_t ordered_index_[CAPACITY];
  alignas(64) uint64_t sorted_[K > COUNTED ? CAPACITY : 1];
  int64_t count_;

  // The vector at i of n scores, NaN past the end: never kept, and no maximum.
  static Vec scores_at(const float* scores, int64_t i, int64_t n) {
    if (i + LANES <= n) return load(scores + i);
    const int rest = int(n - i);
    return iota() < rest ? load_first(scores + i, rest) : splat(std::numeric_limits<float>::quiet_NaN());
  }

  void bring(const Best& best) {
    count_ = best.count;
    std::copy(best.values, best.values + best.count, values_);
    std::copy(best.index, best.index + best.count, index_);
  }

  void keep_all(const float* scores, int64_t n, int32_t first) {
    for (int64_t i = 0; i < n; i++) {
      values_[count_ + i] = scores[i];
      index_[count_ + i] = first + int32_t(i);
    }
    count_ += n;
  }

  void collect(const Best& best, const float* scores, int64_t n, int32_t first) {
    bring(best);
    if (best.count < K || best.worst == INT_MIN) {
      collect_first(scores, n, first);
    } else {
      const Vec bound = splat(order_value(best.worst));  // an equal one has a higher index, so it cannot enter
      keep(scores, n, first, [&](Vec v) { return greater(v, bound); });
    }
  }

  // No bound is known yet.
  void collect_first(const float* scores, int64_t n, int32_t first) {
    float least;
    if (count_ > 0 || !reached(scores, n, least)) return keep_all(scores, n, first);
    const Vec bound = splat(least);
    keep(scores, n, first, [&](Vec v) { return at_least(v, bound); });
  }

  // Finds a value that at least K of the scores reach: one each of at least K groups does. False where nothing shows one.
  bool reached(const float* scores, int64_t n, float& bound) {
    if (n >= 2 * GROUPS) {
      constexpr int VECTORS = int(GROUPS / LANES);
      Vec maxima[VECTORS];
      for (int v = 0; v < VECTORS; v++) maxima[v] = splat(-std::numeric_limits<float>::infinity());
      int64_t i = 0;
      for (; i + GROUPS <= n; i += GROUPS)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) maxima[v] = max(load(scores + i + v * LANES), maxima[v]);
      for (int v = 0; i < n; v++, i += LANES) maxima[v] = max(scores_at(scores, i, n), maxima[v]);
      IntVec low = splat(int32_t(INT_MAX)), high = splat(int32_t(INT_MIN));
      for (int v = 0; v < VECTORS; v++) {
        const IntVec keys = order_keys(maxima[v]);
        store(keys_ + v * LANES, keys);
        low = keys < low ? keys : low;
        high = keys > high ? keys : high;
      }
      int32_t lowest = INT_MAX, highest = INT_MIN;
      for (int i = 0; i < LANES; i++) lowest = std::min(lowest, low[i]), highest = std::max(highest, high[i]);
      const int32_t key = reached_by(K, K / 8, keys_, GROUPS, lowest, highest);
      // −∞ may also stand for a group of NaNs.
      if (key > order_key(-std::numeric_limits<float>::infinity())) {
        bound = order_value(key);
        return true;
      }
    }
    return false;
  }

  template <class Kept>
  void keep(const float* scores, int64_t n, int32_t first, const Kept& kept) {
    IntVec index = iota() + first;
    int64_t count = count_;
    for (int64_t i = 0; i < n; i += LANES, index += LANES) {
      const Vec v = scores_at(scores, i, n);
      const uint32_t lanes = kept(v);
      if (LANES < 8 && !lanes) continue;  // packing lane by lane costs more than a wrong guess
      count += compress(index_ + count, index, lanes);
    }
    for (int64_t i = count_; i < count; i++) values_[i] = scores[index_[i] - first];
    count_ = count;
  }

  // keys_ of the candidates, INT_MIN up to the next multiple of 4 vectors; returns the lowest and the highest.
  std::pair<int32_t, int32_t> find_keys() {
    IntVec low = splat(int32_t(INT_MAX)), high = splat(int32_t(INT_MIN));
    int64_t i = 0;
    for (; i < count_; i += LANES) {
      const IntVec real = iota() < int32_t(std::min<int64_t>(count_ - i, LANES));
      const IntVec keys = real ? order_keys(load(values_ + i)) : splat(int32_t(INT_MIN));
      store(keys_ + i, keys);
      low = real & (keys < low) ? keys : low;
      high = keys > high ? keys : high;
    }
    for (; i % (4 * LANES); i += LANES) store(keys_ + i, splat(int32_t(INT_MIN)));
    int32_t lowest = INT_MAX, highest = INT_MIN;
    for (int l = 0; l < LANES; l++) lowest = std::min(lowest, low[l]), highest = std::max(highest, high[l]);
    return {lowest, highest};
  }

  // Leaves the K best of more than K candidates, in the order they are in.
  void cut() {
    const auto [low, high] = find_keys();
    const int64_t n = int64_t(round_up(size_t(count_), LANES));
    const int32_t last = reached_by(K, 0, keys_, n, low, high);
    const IntVec bound = splat(last);
    int64_t above = 0;
    for (int64_t i = 0; i < n; i += LANES) above += __builtin_popcount(greater(load(keys_ + i), bound));
    int64_t equal = K - above;  // of those at the bound, the first so many stay
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += LANES) {
      const IntVec keys = load(keys_ + i);
      uint32_t lanes = greater(keys, bound);
      uint32_t ties = bits(keys == bound);
      for (; ties && equal; ties &= ties - 1, equal--) lanes |= ties & -ties;
      compress(values_ + kept, load(values_ + i), lanes);
      kept += compress(index_ + kept, load(index_ + i), lanes);
    }
    count_ = K;
  }

  // Writes the K best of the candidates in order. A rank is how many keys are greater; equal ones follow as they come.
  void write_in_order(float* values, int32_t* index) {
    find_keys();
    if constexpr (K > COUNTED) {
      if (count_ > COUNTED) return write_sorted(values, index);
    }
    int64_t ranked = 0;
    for (; ranked + 3 * LANES < count_; ranked += 4 * LANES) count_ranks<4>(ranked);
    if (ranked + 2 * LANES < count_) count_ranks<3>(ranked);
    else if (ranked + LANES < count_) count_ranks<2>(ranked);
    else if (ranked < count_) count_ranks<1>(ranked);
    for (int64_t i = 0; i < count_; i++) {
      const int32_t rank = ranks_[i], place = rank + taken_[rank]++;
      ordered_values_[place] = values_[i];
      ordered_index_[place] = index_[i];
    }
    std::copy(ordered_values_, ordered_values_ + K, values);
    std::copy(ordered_index_, ordered_index_ + K, index);
  }

  // ranks_ of the candidates in the vectors from first on.
  template <int VECTORS>
  void count_ranks(int64_t first) {
    IntVec keys[VECTORS], ranks[VECTORS] = {};
    for (int v = 0; v < VECTORS; v++) keys[v] = load(keys_ + first + v * LANES);
    for (int64_t i = 0; i < count_; i++) {
      const IntVec key = splat(keys_[i]);
      for (int v = 0; v < VECTORS; v++) ranks[v] -= key > keys[v];
    }
    for (int v = 0; v < VECTORS; v++) {
      store(ranks_ + first + v * LANES, ranks[v]);
      store(taken_ + first + v * LANES, IntVec{});
    }
  }

  void write_sorted(float* values, int32_t* index) {
    for (int64_t i = 0; i < count_; i++) sorted_[i] = uint64_t(uint32_t(keys_[i]) ^ 0x80000000u) << 32 | (0xffffffffu - uint32_t(i));
    std::partial_sort(sorted_, sorted_ + K, sorted_ + count_, std::greater<>());
    for (int64_t i = 0; i < K; i++) {
      const uint32_t from = 0xffffffffu - uint32_t(sorted_[i]);
      values[i] = values_[from];
      index[i] = index_[from];
    }
  }
};

}  // namespace ultramem
