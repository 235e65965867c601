// group_sum against sums in f64, with groups out of range.
#include "../group_sum.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t R, int64_t D, int64_t G>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(R + T)};
  const std::string name = "group_sum T=" + std::to_string(T) + " R=" + std::to_string(R) + " D=" + std::to_string(D);
  const auto x = Rows<float>::random(random, T, R * D, 3);
  auto group = Rows<int32_t>::indices(random, T, R, G, 3);
  group.at(0, 0) = -5;
  group.at(T - 1, R - 1) = G + 9;
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, G * D, 1);
    group_sum<R, D, G>(pool, T, x.ptr(), x.stride, group.ptr(), group.stride, y.ptr(), y.stride);
    expect(name, y, 2e-6, [&](int64_t t, int64_t j) {
      double sum = 0;
      for (int64_t r = 0; r < R; r++)
        if (std::min<int64_t>(std::max(group.at(t, r), 0), G - 1) == j / D) sum += x.at(t, r * D + j % D);
      return sum;
    });
    return bytes(y.data);
  });
}

int main() {
  check<5, 7, 3>(1);
  check<64, 33, 4>(20);
  check<9, 16, 1>(3);
  return finish();
}
