// Products of linear_mma.cu against sums in f64, and what they ask of memory.
#include <bit>
#include <cmath>
#include <type_traits>

#include "check.h"

using Bf16 = unsigned short;

#define PRODUCTS(F)                                              \
  F(whole_tiles, Bf16, Bf16) F(large_tiles, Bf16, float)         \
  F(ragged_tiles, float, Bf16) F(ragged_large_tiles, float, float) \
  F(short_tiles, Bf16, Bf16) F(few, Bf16, Bf16) F(ragged_few, Bf16, float)
#define DECLARE(name, X, Y) extern "C" void name(const X*, const Bf16*, Y*, const int*);
PRODUCTS(DECLARE)

struct Shape {
  int T, N, K, ldx, ldy;
  unsigned blocks, threads;
};

static float widen(float x) { return x; }
static float widen(Bf16 x) { return std::bit_cast<float>(unsigned(x) << 16); }
static Bf16 narrow(float x) {
  const unsigned u = std::bit_cast<unsigned>(x);
  return Bf16((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
template <class E>
E element(float x) {
  if constexpr (std::is_same_v<E, float>) return x;
  else return narrow(x);
}
static float noise(unsigned i) { return float((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f; }

template <class X, class Y>
simt::Counters product(const simt::Kernel& kernel, const Shape& s) {
  std::vector<X> x(size_t(s.T) * size_t(s.ldx));
  std::vector<Bf16> w(size_t(s.N) * size_t(s.K));
  for (size_t i = 0; i < x.size(); i++) x[i] = element<X>(noise(unsigned(i)));
  for (size_t i = 0; i < w.size(); i++) w[i] = narrow(noise(unsigned(i) + 77777));
  // Nothing lies behind the last row's end: a read there is out of bounds.
  x.resize(size_t(s.T - 1) * size_t(s.ldx) + size_t(s.K));
  simt::Counters counters;
  for (const bool checks : {true, false}) {
    Buffer<X> left(x, "x");
    Buffer<Bf16> right(w, "w");
    Buffer<Y> out(size_t(s.T - 1) * size_t(s.ldy) + size_t(s.N), "y");
    Buffer<int> rows(std::vector<int>{s.T}, "rows");
    const Run r = run(kernel, {{s.blocks, 1, 1}, {s.threads, 1, 1}, 0}, {checks, !checks, 2}, left.at, right.at, out.at,
                      rows.at);
    clean(r, kernel.name);
    counters = r.counters;
    double error = 0, norm = 0;
    for (int t = 0; t < s.T; t++)
      for (int n = 0; n < s.N; n++) {
        double expected = 0;
        for (int k = 0; k < s.K; k++)
          expected += double(widen(narrow(widen(x[size_t(t * s.ldx + k)])))) * double(widen(w[size_t(n * s.K + k)]));
        const double got = widen(out.at[t * s.ldy + n]);
        error += (got - expected) * (got - expected);
        norm += expected * expected;
      }
    const double most = sizeof(Y) == 2 ? 3e-3 : 1e-6;
    if (!(std::sqrt(error / norm) < most)) std::printf("%s: relative error %g\n", kernel.name, std::sqrt(error / norm));
    check(std::sqrt(error / norm) < most, kernel.name);
  }
  return counters;
}

static void compare(const char* kernel, const char* what, uint64_t got, uint64_t expected) {
  if (got == expected) return;
  std::printf("%s: %s: %llu, not %llu\n", kernel, what, (unsigned long long)got, (unsigned long long)expected);
  failures++;
}

int main() {
#define RUN(name, X, Y, ...) \
  const simt::Counters name##_counters = product<X, Y>(simt::kernel<name>(#name, "model.ts:1:1"), __VA_ARGS__)
  RUN(whole_tiles, Bf16, Bf16, {64, 512, 512, 512, 512, 8, 128});
  RUN(large_tiles, Bf16, float, {130, 256, 64, 64, 256, 4, 256});
  RUN(ragged_tiles, float, Bf16, {67, 77, 91, 93, 79, 6, 128});
  RUN(ragged_large_tiles, float, float, {129, 140, 44, 44, 142, 4, 256});
  RUN(short_tiles, Bf16, Bf16, {17, 24, 8, 16, 24, 1, 128});
  RUN(few, Bf16, Bf16, {16, 512, 512, 512, 512, 32, 256});
  RUN(ragged_few, Bf16, float, {7, 99, 264, 272, 101, 7, 128});
  // Whole tiles read x and w once per tile and write y once, all of it in whole sectors; the one load beside them is of T.
  const simt::Counters& whole = whole_tiles_counters;
  compare("whole_tiles", "products", whole.mma, 64 * 512 * 512 / (16 * 8 * 16));
  compare("whole_tiles", "bank conflicts", whole.bank_conflicts, 0);
  compare("whole_tiles", "load sectors", whole.load_sectors, 8 * (2 * 64 * 512 * 2 / 32) + 8 * 4);
  compare("whole_tiles", "load requests", whole.load_requests, 8 * (2 * 64 * 512 * 2 / 512) + 8 * 4);
  compare("whole_tiles", "store sectors", whole.store_sectors, 64 * 512 * 2 / 32);
  compare("whole_tiles", "store requests", whole.store_requests, 64 * 512 * 2 / 512);
  compare("large_tiles", "bank conflicts", large_tiles_counters.bank_conflicts, 0);
  compare("ragged_tiles", "bank conflicts", ragged_tiles_counters.bank_conflicts, 0);
  compare("ragged_large_tiles", "bank conflicts", ragged_large_tiles_counters.bank_conflicts, 0);
  compare("short_tiles", "bank conflicts", short_tiles_counters.bank_conflicts, 0);
  // Few rows read w once, and x with every 16 columns.
  compare("few", "products", few_counters.mma, 512 / 16 * 2 * 512 / 16);
  compare("few", "load sectors", few_counters.load_sectors, (512 + 512 / 16 * 16) * 512 * 2 / 32 + 512 / 16 * 8);
  compare("ragged_few", "products", ragged_few_counters.mma, 7 * 9 * 2);
  return failures != 0;
}
