// gather_pool against sums in f64, with slots out of range among the rows asked for.
#include "../gather_pool.h"

#include <cmath>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, class E = float>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(D + T)};
  const std::string name = "gather_pool T=" + std::to_string(T) + " N=" + std::to_string(N) + " D=" + std::to_string(D) + " R=" + std::to_string(R);
  auto table = random.floats(N * D);
  const auto stored = stored_as<E>(table);
  auto slot = Rows<int32_t>::indices(random, T, R, G * N, 2);
  const auto scores = Rows<float>::random(random, T, R * C, 3);
  if (R > 2) slot.at(0, 1) = slot.at(0, 0);  // a row twice
  slot.at(T - 1, R - 1) = T % 2 ? -8 : INT32_MAX;
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, G * D, 5);
    gather_pool<N, D, R, C, G>(pool, T, stored.data(), slot.ptr(), slot.stride, scores.ptr(), scores.stride, y.ptr(), y.stride);
    expect(name, y, 2e-6, [&](int64_t t, int64_t j) {
      double sum = 0;
      for (int64_t r = 0; r < R; r++) {
        const int64_t s = std::min<int64_t>(std::max(slot.at(t, r), 0), G * N - 1);
        if (s / N == j / D) sum += static_cast<double>(scores.at(t, r * C + j % D / (D / C))) * table[s % N * D + j % D];
      }
      return sum;
    });
    return bytes(y.data);
  });
}

// Tables of bytes, and the factor of each row.
template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, class E>
static void check_scaled(int64_t T) {
  Random random{static_cast<uint64_t>(D + T)};
  const std::string name = "scaled gather_pool T=" + std::to_string(T) + " D=" + std::to_string(D);
  auto table = random.floats(N * D);
  for (float& x : table) x *= 30;
  const auto stored = stored_as<E>(table);
  auto scale = random.floats(N);
  for (float& x : scale) x /= 30;
  const auto slot = Rows<int32_t>::indices(random, T, R, G * N, 2);
  const auto scores = Rows<float>::random(random, T, R * C, 3);
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, G * D, 5);
    gather_pool<N, D, R, C, G>(pool, T, ScaledRows{stored.data(), scale.data()}, slot.ptr(), slot.stride, scores.ptr(), scores.stride,
                               y.ptr(), y.stride);
    expect(name, y, 4e-6, [&](int64_t t, int64_t j) {
      double sum = 0;
      for (int64_t r = 0; r < R; r++) {
        const int64_t s = slot.at(t, r);
        const double weight = static_cast<double>(scores.at(t, r * C + j % D / (D / C))) * scale[s % N];
        if (s / N == j / D) sum += weight * table[s % N * D + j % D];
      }
      return sum;
    });
    return bytes(y.data);
  });
}

// Loads of vectors give what single elements are, for every byte there is.
template <class E>
static void check_loads(const std::string& name) {
  std::vector<E> all(256 + LANES);
  for (int i = 0; i < 256; i++) std::memset(&all[i], i, 1);
  for (int i = 0; i < 256; i++) {
    float whole[LANES], part[LANES];
    store(whole, load(all.data() + i));
    store(part, load_first(all.data() + i, 1 + i % LANES));
    const float want = to_float(all[i]);
    require(name, float_bits(whole[0]) == float_bits(want) && float_bits(part[0]) == float_bits(want), std::to_string(i));
  }
}

// The value that an f8 stands for, by arithmetic, and back.
static void check_f8() {
  float below = 0;
  for (int i = 0; i < 256; i++) {
    const F8 x{uint8_t(i)};
    const int exponent = i >> 3 & 15, fraction = i & 7;
    const double magnitude = exponent ? std::ldexp(8 + fraction, exponent - 10) : std::ldexp(fraction, -9);
    const float value = to_float(x);
    if ((i & 127) == 127) require("f8", std::isnan(value) && to_f8(value).bits == i, "NaN");
    else require("f8", value == (i > 127 ? -magnitude : magnitude) && to_f8(value).bits == i, std::to_string(i));
    if (i == 0 || i >= 127) continue;
    const float middle = below + (value - below) / 2;
    require("f8", to_f8(middle).bits == (i % 2 ? i - 1 : i), "a tie goes to the even one, " + std::to_string(i));
    require("f8", to_f8(std::nextafter(middle, 1e9f)).bits == i && to_f8(std::nextafter(middle, 0.f)).bits == i - 1, "nearest");
    below = value;
  }
  require("f8", to_f8(1e9f).bits == 0x7e && to_f8(-INFINITY).bits == 0xfe && to_f8(-0.f).bits == 0x80, "ends");
}

int main() {
  check_f8();
  check_loads<F8>("f8");
  check_loads<int8_t>("int8");
  check_scaled<50, 192, 12, 2, 4, int8_t>(1);
  check_scaled<50, 192, 12, 2, 4, F8>(9);
  check_scaled<33, 201, 5, 3, 2, int8_t>(9);
  check_scaled<33, 201, 5, 3, 2, F8>(1);
  check<50, 192, 12, 2, 4>(1);
  check<50, 192, 12, 2, 4>(9);
  check<7, 6, 3, 3, 1>(2);
  check<33, 201, 5, 3, 2>(3);
  check<12, 20, 1, 4, 9>(20);
  check<9, 1030, 9, 1, 2>(2);
  check<50, 192, 12, 2, 4, BF16>(1);
  check<33, 201, 5, 3, 2, BF16>(9);
  return finish();
}
