// What this machine can do at most, measured: multiply-adds of f32, of pairs of bf16, of bytes; bytes read in order, rows read at
// random.
// All with the threads of a pool, each of which gets several pieces, so that one that wakes late takes fewer.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "byte_keys.h"
#include "pool.h"
#include "stored.h"

namespace ultramem {

// Seconds that body takes.
template <class Body>
double seconds_of(const Body& body) {
  const auto before = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
}

// Makes the compiler believe that v is used, without a store that would have to wait for it.
template <class V>
void consume(V v) {
#if defined(__x86_64__)
  asm volatile("" ::"v"(v));
#else
  asm volatile("" ::"m"(v));
#endif
}

// Bytes in huge pages where the system gives them, as the runtime keeps tables; freed with the process.
inline void* huge_pages(size_t bytes) {
  constexpr size_t PAGE = size_t(1) << 21;
  void* const p = std::aligned_alloc(PAGE, round_up(bytes, PAGE));
  if (!p) std::fprintf(stderr, "not enough memory for %zu MiB\n", bytes >> 20), std::exit(1);
  madvise(p, round_up(bytes, PAGE), MADV_HUGEPAGE);
  return p;
}

// GFLOP/s of independent sums held in registers: step(sum, a, b) adds `flops_per_lane` operations a lane to a sum.
template <class Sum = Vec, class Operand, class Step>
double register_peak(Pool& pool, double flops_per_lane, const Operand& a, const Operand& b, const Step& step) {
  constexpr int SUMS = 12, REPEATS = 40000;
  const int pieces = 8 * pool.threads();
  const double seconds = seconds_of([&] {
    pool.parallel(pieces, [&](int64_t, int) {
      const Operand left = a, right = b;  // of this piece, so that they stay in registers too
      Sum sums[SUMS];
      for (int i = 0; i < SUMS; i++) sums[i] = Sum(splat(float(i)));
      for (int n = 0; n < REPEATS; n++)
#pragma GCC unroll 16
        for (int i = 0; i < SUMS; i++) sums[i] = step(sums[i], left, right);
      for (int i = 0; i < SUMS; i++) consume(sums[i]);
    });
  });
  return flops_per_lane * SUMS * LANES * REPEATS * pieces / seconds / 1e9;
}

inline double multiply_add_peak(Pool& pool) {
  return register_peak(pool, 2, splat(0.999f), splat(0.001f), [](Vec sum, Vec a, Vec b) { return multiply_add(sum, a, b); });
}

// Of pairs of bf16 multiplied by the processor itself; 0 where it cannot.
inline double pairs_peak(Pool& pool) {
  if (!kMultipliesPairs) return 0;
  return register_peak(pool, 4, splat(0x3f003f00), splat(0x3c003c00), [](Vec sum, IntVec a, IntVec b) { return multiply_add_pairs(a, b, sum); });
}

// Of four bytes a lane, as native/cpu/byte_keys.h multiplies them here.
inline double bytes_peak(Pool& pool) {
  const int32_t words[2] = {0x01020304, 0x00020001};
  return register_peak<IntVec>(pool, 8, splat(0x01010101), splat(0), [&](IntVec sum, IntVec a, IntVec) { return add_byte_products(sum, words, a); });
}

// An array far beyond every cache, and what is read of it: in order, or row by row at random.
class LargeArray {
 public:
  LargeArray(Pool& pool, size_t bytes) : bytes_(bytes), data_(static_cast<int32_t*>(huge_pages(bytes))) {
    // By the threads that will read it; not zero, so that no page is shared.
    pool.parallel(int64_t(bytes / PIECE), [&](int64_t piece, int) { std::fill_n(data_ + piece * (PIECE / 4), PIECE / 4, int32_t(piece + 1)); });
  }

  // GB/s of reading all of it once, disjoint pieces by each thread.
  double read(Pool& pool) const {
    const double seconds = seconds_of([&] {
      pool.parallel(int64_t(bytes_ / PIECE), [&](int64_t piece, int) {
        const int32_t* const from = data_ + piece * (PIECE / 4);
        IntVec sums[8] = {};
        for (size_t i = 0; i < PIECE / 4; i += 8 * LANES)
#pragma GCC unroll 8
          for (int j = 0; j < 8; j++) sums[j] ^= load(from + i + j * LANES);
        for (const IntVec& sum : sums) consume(sum);
      });
    });
    return double(bytes_) / seconds / 1e9;
  }

  // GB/s of reading `count` rows, in the order of `order`, again from its start past its end; the lines of `ahead` rows are on
  // their way to the cache of level LEVEL. Rows have `words` words, a multiple of a vector's.
  template <int LEVEL>
  double gather(Pool& pool, const std::vector<int32_t>& order, int64_t words, int64_t count, int64_t ahead) const {
    const int64_t pieces = 16 * pool.threads(), rows = int64_t(order.size());
    const auto row = [&](int64_t i) { return data_ + order[i < rows ? i : i % rows] * words; };
    const double seconds = seconds_of([&] {
      pool.parallel(pieces, [&](int64_t piece, int) {
        const int64_t end = (piece + 1) * count / pieces;
        IntVec sum{};
        for (int64_t i = piece * count / pieces; i < end; i++) {
          const int32_t* const next = row(i + ahead);
          for (int64_t w = 0; w < words; w += 16) __builtin_prefetch(next + w, 0, 4 - LEVEL);
          const int32_t* const now = row(i);
          for (int64_t w = 0; w < words; w += LANES) sum ^= load(now + w);
        }
        consume(sum);
      });
    });
    return double(count * words * 4) / seconds / 1e9;
  }

 private:
  static constexpr size_t PIECE = size_t(1) << 22;
  const size_t bytes_;
  int32_t* const data_;
};

// A figure that is measured again and again: the most is the limit.
struct Limit {
  std::vector<double> rounds;
  void add(double value) { rounds.push_back(value); }
  double best() const { return *std::max_element(rounds.begin(), rounds.end()); }
  double median() const {
    std::vector<double> sorted = rounds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

// A table whose rows are read at random; `width` elements each.
struct Table {
  int64_t rows, width;
};

// The limits that stages are set against: of one number of threads, measured in turn with steps of T tokens.
class Limits {
 public:
  Limits(int threads, int64_t T, Table values, Table keys) : threads_(threads), T_(T), values_(values), keys_(keys) {}

  // One round of all of them.
  void measure(Pool& pool, const LargeArray& array, unsigned seed) {
    f32_.add(multiply_add_peak(pool));
    bf16_.add(pairs_peak(pool));
    bytes_.add(bytes_peak(pool));
    read_.add(array.read(pool));
    // A quarter of the values, so many that no cache holds them; all keys four times, which a cache may hold.
    const std::vector<int32_t> values = shuffled(values_.rows, seed), keys = shuffled(keys_.rows, seed);
    gather_f32_.add(gather(pool, array, values, values_.width * 4, values_.rows / 4));
    gather_bf16_.add(gather(pool, array, values, values_.width * 2, values_.rows / 4));
    keys_f32_.add(gather(pool, array, keys, keys_.width * 4, keys_.rows * 4));
    keys_bf16_.add(gather(pool, array, keys, keys_.width * 2, keys_.rows * 4));
  }

  // {"f32Flops":{"best":…,"median":…},…}, flops and bytes per second.
  void print() const {
    std::printf("{\"threads\":%d,\"T\":%lld", threads_, (long long)T_);
    const auto one = [](const char* name, const Limit& limit) {
      std::printf(",\"%s\":{\"best\":%.4g,\"median\":%.4g}", name, limit.best() * 1e9, limit.median() * 1e9);
    };
    one("f32Flops", f32_), one("bf16Flops", bf16_), one("byteOps", bytes_), one("read", read_);
    one("gatherF32", gather_f32_), one("gatherBf16", gather_bf16_), one("keysF32", keys_f32_), one("keysBf16", keys_bf16_);
    std::printf("}");
  }

 private:
  static std::vector<int32_t> shuffled(int64_t rows, unsigned seed) {
    std::vector<int32_t> order(rows);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::minstd_rand(seed));
    return order;
  }

  // By way of the second cache, which takes more lines at once, as gather_pool does; or of the first, where rows are few and near.
  static double gather(Pool& pool, const LargeArray& array, const std::vector<int32_t>& order, int64_t row_bytes, int64_t count) {
    return std::max(array.gather<1>(pool, order, row_bytes / 4, count, 6), array.gather<2>(pool, order, row_bytes / 4, count, 16));
  }

  int threads_;
  int64_t T_;
  Table values_, keys_;
  Limit f32_, bf16_, bytes_, read_, gather_f32_, gather_bf16_, keys_f32_, keys_bf16_;
};

}  // namespace ultramem
