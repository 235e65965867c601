// pool_linear: the very bits of gather_pool and linear one after the other, whatever the tiles.
#include "../pool_linear.h"

#include <cstring>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, int64_t OUT, class E = float>
static void check(int64_t T) {
  constexpr int64_t K = G * D;
  Random random{static_cast<uint64_t>(D + T)};
  const std::string name = "pool_linear T=" + std::to_string(T) + " D=" + std::to_string(D) + " OUT=" + std::to_string(OUT);
  auto rows = random.floats(N * D), matrix = random.floats(OUT * K);
  const auto table = stored_as<E>(rows), weight = stored_as<E>(matrix);
  auto slot = Rows<int32_t>::indices(random, T, R, G * N, 2);
  const auto scores = Rows<float>::random(random, T, R * C, 3);
  slot.at(0, 0) = -5;
  slot.at(T - 1, R - 1) = INT32_MAX;
  std::vector<E> packed(packed_elements<E>(OUT, K) + 64);
  E* const panels = reinterpret_cast<E*>(round_up(reinterpret_cast<size_t>(packed.data()), 64));
  Rows<float> wanted(T, OUT, 5);
  {
    Pool pool(1, linear_scratch<OUT, K, E>());
    pack_linear(pool, OUT, K, weight.data(), K, 1, panels);
    std::vector<float> pooled(T * K);
    gather_pool<N, D, R, C, G>(pool, T, table.data(), slot.ptr(), slot.stride, scores.ptr(), scores.stride, pooled.data(), K);
    linear<OUT, K>(pool, T, pooled.data(), K, panels, wanted.ptr(), wanted.stride);
  }
  for_thread_counts(name, pool_linear_scratch<OUT, K, E>(), [&](Pool& pool) {
    std::vector<float> pooled(T * K);
    Rows<float> y(T, OUT, 5);
    pool_linear<N, D, R, C, G, OUT>(pool, T, table.data(), slot.ptr(), slot.stride, scores.ptr(), scores.stride, pooled.data(), panels,
                                    y.ptr(), y.stride);
    expect(name, y, 0, [&](int64_t t, int64_t n) { return wanted.at(t, n); });
    return bytes(y.data);
  });
}

// The same of a table of bytes.
static void check_scaled(int64_t T) {
  constexpr int64_t N = 50, D = 32, R = 12, C = 2, G = 4, OUT = 96, K = G * D;
  Random random{static_cast<uint64_t>(T)};
  std::vector<int8_t> rows(N * D);
  for (int8_t& x : rows) x = static_cast<int8_t>(random.below(255) - 127);
  const auto scale = random.floats(N), weight = random.floats(OUT * K);
  const ScaledRows table{rows.data(), scale.data()};
  const auto slot = Rows<int32_t>::indices(random, T, R, G * N);
  const auto scores = Rows<float>::random(random, T, R * C);
  std::vector<float> packed(packed_elements<float>(OUT, K) + 64), pooled(T * K);
  float* const panels = reinterpret_cast<float*>(round_up(reinterpret_cast<size_t>(packed.data()), 64));
  Rows<float> wanted(T, OUT, 5);
  {
    Pool pool(1, linear_scratch<OUT, K, float>());
    pack_linear(pool, OUT, K, weight.data(), K, 1, panels);
    gather_pool<N, D, R, C, G>(pool, T, table, slot.ptr(), slot.stride, scores.ptr(), scores.stride, pooled.data(), K);
    linear<OUT, K>(pool, T, pooled.data(), K, panels, wanted.ptr(), wanted.stride);
  }
  for_thread_counts("scaled pool_linear", pool_linear_scratch<OUT, K, float>(), [&](Pool& pool) {
    Rows<float> y(T, OUT, 5);
    pool_linear<N, D, R, C, G, OUT>(pool, T, table, slot.ptr(), slot.stride, scores.ptr(), scores.stride, pooled.data(), panels, y.ptr(),
                                    y.stride);
    expect("scaled pool_linear", y, 0, [&](int64_t t, int64_t n) { return wanted.at(t, n); });
    return bytes(y.data);
  });
}

int main() {
  check_scaled(5);
  check_scaled(130);
  for (int64_t T : {1, 17, 24, 49, 130}) {
    check<50, 32, 12, 2, 4, 96>(T);
    check<50, 32, 12, 2, 4, 96, BF16>(T);
  }
  check<7, 6, 3, 3, 1, 5>(40);
  check<33, 201, 5, 3, 3, 70>(60);
  check<33, 201, 5, 3, 3, 70, BF16>(60);
  return finish();
}
