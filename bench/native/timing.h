// What the native micro-benchmarks share: repeated calls timed one by one, random numbers, the multiply-add peak.
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

// GFLOP/s of independent multiply-adds held in registers.
inline double multiply_add_peak() {
  double best = 0;
  for (int round = 0; round < 20; round++) {
    Vec sums[12];
    for (int i = 0; i < 12; i++) sums[i] = splat(float(i));
    const Vec a = splat(0.999f), b = splat(0.001f);
    const auto before = std::chrono::steady_clock::now();
    for (int n = 0; n < 100000; n++)
#pragma GCC unroll 16
      for (int i = 0; i < 12; i++) sums[i] = multiply_add(sums[i], a, b);
    for (int i = 0; i < 12; i++) asm volatile("" ::"m"(sums[i]));
    const double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before).count();
    best = std::max(best, 2.0 * 12 * LANES * 100000 / us / 1e3);
  }
  return best;
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
