// gather_dot against sums in f64, with indices out of range among the rows asked for.
#include "../gather_dot.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t H, int64_t N, int64_t R, int64_t D, int64_t M, int64_t QueryHead, int64_t QueryRank, class E = float>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(D + T)};
  const std::string name = "gather_dot T=" + std::to_string(T) + " R=" + std::to_string(R) + " D=" + std::to_string(D) + " M=" + std::to_string(M);
  const auto q = Rows<float>::random(random, T, (H - 1) * QueryHead + (R - 1) * QueryRank + D, 2);
  auto keys = random.floats(H * N * R * D);
  const auto stored = stored_as<E>(keys);
  auto index = Rows<int32_t>::indices(random, T, H * M, N, 1);
  index.at(0, 0) = -1;
  index.at(T - 1, H * M - 1) = INT32_MAX;
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, H * M * R, 5);
    gather_dot<H, N, R, D, M, QueryHead, QueryRank>(pool, T, q.ptr(), q.stride, stored.data(), index.ptr(), index.stride, y.ptr(), y.stride);
    expect(name, y, 1e-5, [&](int64_t t, int64_t j) {
      const int64_t h = j / (M * R), r = j % R, n = std::min<int64_t>(std::max(index.at(t, j / R), 0), N - 1);
      double sum = 0;
      for (int64_t d = 0; d < D; d++) sum += static_cast<double>(q.at(t, h * QueryHead + r * QueryRank + d)) * keys[((h * N + n) * R + r) * D + d];
      return sum;
    });
    return bytes(y.data);
  });
}

int main() {
  check<2, 100, 2, 192, 32, 0, 0>(1);
  check<2, 100, 2, 192, 32, 0, 192>(5);
  check<3, 9, 3, 37, 5, 37, 0>(20);
  check<1, 5, 1, 7, 1, 0, 0>(2);
  check<2, 11, 8, 16, 3, 0, 16>(3);
  check<2, 100, 2, 192, 32, 0, 192, BF16>(5);
  check<3, 9, 3, 37, 5, 37, 0, BF16>(20);
  check<2, 100, 2, 192, 32, 0, 192, F8>(5);
  check<3, 9, 3, 37, 5, 37, 0, F8>(20);
  check<2, 100, 2, 192, 32, 0, 192, int8_t>(5);
  check<3, 9, 3, 37, 5, 37, 0, int8_t>(20);
  return finish();
}
