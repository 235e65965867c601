// gather_pool against sums in f64, with slots out of range among the rows asked for.
#include "../gather_pool.h"

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

int main() {
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
