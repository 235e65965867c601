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

int main() {
  for (int64_t T : {1, 17, 24, 49, 130}) {
    check<50, 32, 12, 2, 4, 96>(T);
    check<50, 32, 12, 2, 4, 96, BF16>(T);
  }
  check<7, 6, 3, 3, 1, 5>(40);
  check<33, 201, 5, 3, 3, 70>(60);
  check<33, 201, 5, 3, 3, 70, BF16>(60);
  return finish();
}
