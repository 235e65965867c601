// Look-ups beyond the first 2^31 elements of a table. Only the rows that are looked up are there: the table's address is theirs, moved
// back, so that an offset of 32 bits would go elsewhere.
#include <cmath>

#include "check.h"

extern "C" {
void large_rows(const int8_t*, const int*, int8_t*);
void large_gather(const int8_t*, const int*, int8_t*);
void large_dot(const float*, const int8_t*, const int*, float*);
void large_pool(const int8_t*, const float*, const int*, const float*, float*);
void large_pool_f8(const uint8_t*, const float*, const int*, const float*, float*);
void bytes_as_floats(const uint8_t*, float*, float*);
}

#define KERNEL(name) simt::kernel<name>(#name, "model.ts:1:1")

constexpr int64_t ROWS = 70000000, WIDTH = 32, FIRST = 69000001;  // element 2,208,000,032

static const simt::Options options{true, false, 1};
static simt::Shape shape(unsigned threads) { return {{1, 1, 1}, {threads, 1, 1}, 0}; }

static float f8(int bits) {
  const int exponent = bits >> 3 & 15, fraction = bits & 7;
  if ((bits & 127) == 127) return NAN;
  const double magnitude = exponent ? std::ldexp(8 + fraction, exponent - 10) : std::ldexp(fraction, -9);
  return float(bits & 128 ? -magnitude : magnitude);
}

int main() {
  std::vector<int8_t> bytes(3 * WIDTH);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = int8_t(int(i * 37 % 251) - 125);
  const Buffer<int8_t> held(bytes, "rows");
  const int8_t* const table = reinterpret_cast<const int8_t*>(reinterpret_cast<uintptr_t>(held.at) - FIRST * WIDTH);
  const std::vector<float> factors = {0.5f, 2, -0.25f}, weights = {1, -2, 3};
  const Buffer<float> held_scale(factors, "scale"), scores(weights, "scores");
  const float* const scale = reinterpret_cast<const float*>(reinterpret_cast<uintptr_t>(held_scale.at) - FIRST * 4);
  const std::vector<int> order = {int(FIRST + 2), int(FIRST), int(FIRST + 1)};
  const Buffer<int> index(order, "index");
  const auto at = [&](int m, int64_t d) { return bytes[size_t((order[size_t(m)] - FIRST) * WIDTH + d)]; };

  for (const simt::Kernel& kernel : {KERNEL(large_rows), KERNEL(large_gather)}) {
    const Buffer<int8_t> y(3 * WIDTH, "y");
    clean(run(kernel, shape(128), options, table, index.at, y.at), "rows are found");
    bool same = true;
    for (int64_t i = 0; i < 3 * WIDTH; i++) same = same && y.at[i] == at(int(i / WIDTH), i % WIDTH);
    check(same, "rows are copied");
  }

  std::vector<float> query(WIDTH);
  for (size_t d = 0; d < query.size(); d++) query[d] = float(d % 5);
  const Buffer<float> q(query, "q"), dots(3, "dots");
  clean(run(KERNEL(large_dot), shape(256), options, q.at, table, index.at, dots.at), "keys are found");
  for (int m = 0; m < 3; m++) {
    float sum = 0;
    for (int64_t d = 0; d < WIDTH; d++) sum += query[size_t(d)] * float(at(m, d));
    check(dots.at[m] == sum, "dot products");
  }

  // One row in the last group that a slot can name.
  std::vector<int> slots = order;
  slots[1] = int(15 * ROWS + FIRST);
  const Buffer<int> slot(slots, "slot");
  const Buffer<float> pooled(16 * WIDTH, "pooled");
  clean(run(KERNEL(large_pool), shape(256), options, table, scale, slot.at, scores.at, pooled.at), "value rows are found");
  const auto factor = [&](int m) { return factors[size_t(order[size_t(m)] - FIRST)]; };
  for (int64_t i = 0; i < 16 * WIDTH; i++) {
    float sum = 0;
    for (int m = 0; m < 3; m++)
      if (slots[size_t(m)] / ROWS == i / WIDTH) sum += weights[size_t(m)] * factor(m) * float(at(m, i % WIDTH));
    check(pooled.at[i] == sum, "pooled rows");
  }

  for (int8_t& x : bytes) x = int8_t(x & 0x3f);  // as f8 below 2, whose products with small numbers are exact
  const Buffer<uint8_t> held_f8(std::vector<uint8_t>(bytes.begin(), bytes.end()), "rows");
  const uint8_t* const table_f8 = reinterpret_cast<const uint8_t*>(reinterpret_cast<uintptr_t>(held_f8.at) - FIRST * WIDTH);
  const Buffer<float> pooled_f8(2 * WIDTH, "pooled");
  clean(run(KERNEL(large_pool_f8), shape(256), options, table_f8, scale, index.at, scores.at, pooled_f8.at), "f8 rows are found");
  for (int64_t i = 0; i < 2 * WIDTH; i++) {
    float sum = 0;
    for (int m = 0; m < 3 && i < WIDTH; m++) sum += weights[size_t(m)] * factor(m) * f8(at(m, i));
    check(pooled_f8.at[i] == sum, "pooled f8 rows");
  }

  std::vector<uint8_t> all(256);
  for (size_t i = 0; i < 256; i++) all[i] = uint8_t(i);
  const Buffer<uint8_t> codes(all, "codes");
  const Buffer<float> single(256, "single"), runs(256, "runs");
  clean(run(KERNEL(bytes_as_floats), shape(32), options, codes.at, single.at, runs.at), "bytes are read");
  for (int i = 0; i < 256; i++) {
    const float want = f8(i);
    const auto same = [&](float got) { return std::isnan(want) ? std::isnan(got) : got == want && std::signbit(got) == std::signbit(want); };
    check(same(single.at[i]) && same(runs.at[i]), "every f8");
  }
  return failures != 0;
}
