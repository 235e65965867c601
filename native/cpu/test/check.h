// What the kernel tests share: numbers from a seed, strided rows, comparison in f64, and runs at several thread counts.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../convert.h"
#include "../pool.h"

namespace ultramem::test {

inline int failures = 0;

inline void fail(const std::string& what) {
  if (failures++ < 20) std::fprintf(stderr, "%s\n", what.c_str());
}

inline void fail(const std::string& name, const std::string& what) { fail(name + ": " + what); }
inline void require(const std::string& name, bool holds, const std::string& what) {
  if (!holds) fail(name, what);
}

// |got - want| ≤ tolerance, relative to the wanted value or to 1 where that is smaller; NaN and infinities match themselves.
inline bool near(double got, double want, double tolerance) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (std::isinf(got) || std::isinf(want)) return got == want;
  return std::fabs(got - want) <= tolerance * std::fmax(1.0, std::fabs(want));
}

// Ends main.
inline int finish() {
  if (failures) std::fprintf(stderr, "%d checks failed\n", failures);
  return failures ? 1 : 0;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  float normal() { return normal_(engine_); }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  std::vector<float> floats(int64_t n) {
    std::vector<float> out(static_cast<size_t>(n));
    for (float& x : out) x = normal();
    return out;
  }
  float uniform(float low = -1, float high = 1) {
    return low + (high - low) * static_cast<float>(engine_() >> 40) * 0x1p-24f;
  }
  std::vector<int32_t> indices(int64_t n, int64_t count) {
    std::vector<int32_t> out(static_cast<size_t>(n));
    for (int32_t& x : out) x = static_cast<int32_t>(below(count));
    return out;
  }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<float> normal_;
};

// count rows of `columns` elements, `padding` elements apart; the storage ends with the last row, so that a sanitizer sees
// a step past it. What is not set holds a mark, which expect() looks for between the rows.
template <class T>
struct Rows {
  int64_t count, columns, stride;
  std::vector<T> data;

  Rows(int64_t count, int64_t columns, int64_t padding = 0)
      : count(count), columns(columns), stride(columns + padding), data(static_cast<size_t>(count ? (count - 1) * stride + columns : 0), mark()) {}
  static Rows random(Random& random, int64_t count, int64_t columns, int64_t padding = 0) {
    Rows rows(count, columns, padding);
    for (int64_t r = 0; r < count; r++)
      for (int64_t c = 0; c < columns; c++) rows.at(r, c) = static_cast<T>(random.normal());
    return rows;
  }
  static Rows indices(Random& random, int64_t count, int64_t columns, int64_t below, int64_t padding = 0) {
    Rows rows(count, columns, padding);
    for (int64_t r = 0; r < count; r++)
      for (int64_t c = 0; c < columns; c++) rows.at(r, c) = static_cast<T>(random.below(below));
    return rows;
  }
  static T mark() {
    T m;
    std::memset(&m, 0x5b, sizeof(T));
    return m;
  }
  bool untouched() const {
    const T m = mark();
    for (int64_t r = 0; r + 1 < count; r++)
      for (int64_t c = columns; c < stride; c++)
        if (std::memcmp(&at(r, c), &m, sizeof(T)) != 0) return false;
    return true;
  }
  T* ptr() { return data.data(); }
  const T* ptr() const { return data.data(); }
  T& at(int64_t row, int64_t column) { return data[static_cast<size_t>(row * stride + column)]; }
  const T& at(int64_t row, int64_t column) const { return data[static_cast<size_t>(row * stride + column)]; }
};

// Every element near() what wanted(row, column) gives.
template <class T, class Wanted>
void expect(const std::string& name, const Rows<T>& rows, double tolerance, const Wanted& wanted) {
  for (int64_t r = 0; r < rows.count; r++)
    for (int64_t c = 0; c < rows.columns; c++) {
      const double got = static_cast<double>(rows.at(r, c)), want = static_cast<double>(wanted(r, c));
      if (!near(got, want, tolerance))
        fail(name + " [" + std::to_string(r) + "," + std::to_string(c) + "]: got " + std::to_string(got) + ", want " + std::to_string(want));
    }
  require(name, rows.untouched(), "wrote between the rows");
}

// The values as elements of E, which they are rounded to.
template <class E>
std::vector<E> stored_as(std::vector<float>& values) {
  std::vector<E> elements;
  for (float& value : values) {
    elements.push_back(convert<E>(value));
    value = to_float(elements.back());
  }
  return elements;
}

template <class T>
std::string bytes(const std::vector<T>& data) {
  return std::string(reinterpret_cast<const char*>(data.data()), data.size() * sizeof(T));
}

// Runs body(pool) → bytes of its results with 1, 2 and 3 threads; all must be the same.
template <class Body>
void for_thread_counts(const std::string& name, size_t scratch, const Body& body) {
  std::string first;
  for (int threads : {1, 2, 3}) {
    Pool pool(threads, scratch);
    const std::string result = body(pool);
    if (threads == 1) first = result;
    else if (result != first) fail(name + ": other bits with " + std::to_string(threads) + " threads");
  }
}

}  // namespace ultramem::test
