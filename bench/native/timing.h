// What the native micro-benchmarks share: repeated calls timed one by one, random numbers.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "stored.h"

namespace ultramem {

struct Times {
  double min, median;  // microseconds
};

// Calls body for about 0.3 s and returns the times of single calls.
template <class Body>
Times time_calls(const Body& body) {
  using Clock = std::chrono::steady_clock;
  body();
  std::vector<double> us;
  const auto start = Clock::now();
  while (us.size() < 20 || (Clock::now() - start < std::chrono::milliseconds(300) && us.size() < 20000)) {
    const auto before = Clock::now();
    body();
    us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
  }
  std::sort(us.begin(), us.end());
  return {us.front(), us[us.size() / 2]};
}

// Arrays of normal numbers, 64-byte aligned, freed with the process.
class Numbers {
 public:
  explicit Numbers(unsigned seed) : random_(seed) {}
  template <class E = float>
  E* array(size_t n) {
    E* p = static_cast<E*>(std::aligned_alloc(64, round_up(n * sizeof(E) + 64, 64)));
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < n; i++) p[i] = convert<E>(normal(random_));
    return p;
  }

 private:
  std::minstd_rand random_;
};

}  // namespace ultramem
