// Runs the kernels of basics.cu and compares with what they must give, with checks and without.
#include "check.h"

extern "C" {
void add(const float*, const float*, float*, const int*);
void block_sum(const float*, float*);
void shuffle_sum(const float*, float*);
void histogram(const int*, int*, int*, float*);
void cube(unsigned*);
void votes(const int*, unsigned*);
}

#define KERNEL(name) simt::kernel<name>(#name, "model.ts:1:1")

static void sums(const simt::Options& options) {
  std::vector<float> values(1000);
  for (int i = 0; i < 1000; i++) values[size_t(i)] = float(i % 17);
  Buffer<float> x(values, "x"), y(values, "y"), z(1000, "z");
  Buffer<int> n(std::vector<int>{1000}, "n");
  check(simt::unwritten(z.at, 4000) == std::vector<std::pair<size_t, size_t>>{{0, 4000}}, "nothing is written yet");
  simt::written(reinterpret_cast<char*>(z.at) + 3, 6);
  check(simt::unwritten(z.at, 4000) == std::vector<std::pair<size_t, size_t>>{{0, 3}, {9, 4000}}, "parts of words");
  clean(run(KERNEL(add), {{8, 1, 1}, {128, 1, 1}, 0}, options, x.at, y.at, z.at, n.at), "add");
  for (int i = 0; i < 1000; i++) check(z.at[i] == 2 * values[size_t(i)], "add");
  check(options.checks == simt::unwritten(z.at, 4000).empty(), "what kernels write is known where they are checked");

  std::vector<float> many(1024);
  float expected[4] = {};
  for (int i = 0; i < 1024; i++) expected[i / 256] += many[size_t(i)] = float(i % 13);
  Buffer<float> in(many, "in"), out(4, "out");
  clean(run(KERNEL(block_sum), {{4, 1, 1}, {256, 1, 1}, 0}, options, in.at, out.at), "block_sum");
  for (int b = 0; b < 4; b++) check(out.at[b] == expected[b], "block_sum");
  clean(run(KERNEL(shuffle_sum), {{4, 1, 1}, {256, 1, 1}, 64}, options, in.at, out.at), "shuffle_sum");
  for (int b = 0; b < 4; b++) check(out.at[b] == expected[b], "shuffle_sum");
}

static void atomics(const simt::Options& options) {
  std::vector<int> values(512);
  for (int i = 0; i < 512; i++) values[size_t(i)] = i;
  Buffer<int> x(values, "x"), counts(std::vector<int>(8), "counts"), largest(std::vector<int>{0}, "largest");
  Buffer<float> total(std::vector<float>{0.0f}, "total");
  const Run r = run(KERNEL(histogram), {{4, 1, 1}, {128, 1, 1}, 0}, options, x.at, counts.at, largest.at, total.at);
  clean(r, "histogram");
  for (int i = 0; i < 8; i++) check(counts.at[i] == 64, "histogram");
  check(*largest.at == 511 && *total.at == 512.0f, "histogram");
}

static void shapes(const simt::Options& options) {
  Buffer<unsigned> out(12 * 6 * 20, "out");
  clean(run(KERNEL(cube), {{3, 2, 5}, {4, 3, 4}, 0}, options, out.at), "cube");
  for (unsigned z = 0; z < 20; z++)
    for (unsigned y = 0; y < 6; y++)
      for (unsigned x = 0; x < 12; x++) check(out.at[(z * 6 + y) * 12 + x] == (x | y << 8 | z << 16), "cube");
}

static void exchanges(const simt::Options& options) {
  std::vector<int> values(64);
  for (int i = 0; i < 64; i++) values[size_t(i)] = i % 32;
  Buffer<int> x(values, "x");
  Buffer<unsigned> out(64 * 16, "out");
  clean(run(KERNEL(votes), {{1, 1, 1}, {64, 1, 1}, 0}, options, x.at, out.at), "votes");
  for (unsigned t = 0; t < 64; t++) {
    const unsigned v = t % 32;
    const unsigned bits = unsigned(__builtin_popcount(v)) + (v ? unsigned(__builtin_clz(v)) : 32u) +
                          unsigned(__builtin_ffs(int(v))) + (v < 3 ? 3 : v) + 1;
    const unsigned expected[16] = {0xaaaaaaaau, 1, 1, 0x11111111u << v % 4, 496, unsigned(-40), v < 3 ? v : v - 3,
                                   v % 8 + 3 > 7 ? v : v + 3, v / 16 * 16 + 5, v ^ 1, 32, 1, 1, v ^ 2,
                                   v < 16 ? v ^ 1 : v ^ 2, bits};
    for (int i = 0; i < 16; i++) {
      if (out.at[t * 16 + unsigned(i)] != expected[i]) {
        std::printf("votes: thread %u, %d: %u, not %u\n", t, i, out.at[t * 16 + unsigned(i)], expected[i]);
        failures++;
      }
    }
  }
}

int main() {
  for (const bool checks : {false, true})
    for (const bool counters : {false, true})
      for (const int workers : {1, 3}) {
        const simt::Options options{checks, counters, workers};
        sums(options);
        atomics(options);
        shapes(options);
        exchanges(options);
      }
  return failures != 0;
}
