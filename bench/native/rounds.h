// Several calls timed in turn, round after round, so that whatever else the machine does falls on all of them.
#pragma once
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace ultramem {

inline double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One of several that take turns. `call` is handed a count, to choose among inputs.
struct Contender {
  std::function<void(int64_t)> call;
  double least = 1e300;         // microseconds of a call
  int64_t calls = 0;            // that counted
  std::vector<double> medians;  // of each round
  int64_t next = 0;             // count of the next call

  // Calls for so many seconds, the first quarter of them not counted; three counted calls at least.
  void run(double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
    for (auto start = Clock::now(); since(start) < seconds / 4;) call(next++);
    std::vector<double> us;
    for (auto start = Clock::now(); us.size() < 3 || since(start) < seconds;) {
      const auto before = Clock::now();
      call(next++);
      us.push_back(since(before) * 1e6);
    }
    calls += int64_t(us.size());
    least = std::min(least, *std::min_element(us.begin(), us.end()));
    medians.push_back(median_of(std::move(us)));
  }

  double median() const { return median_of(medians); }
  double spread() const {
    const auto [low, high] = std::minmax_element(medians.begin(), medians.end());
    return *high - *low;
  }
};

}  // namespace ultramem
