// reduce: sums and maxima over one axis, NaN included.
#include "../reduce.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t Outer, int64_t N, int64_t Inner>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(N + T)};
  const std::string name = "reduce T=" + std::to_string(T) + " " + std::to_string(Outer) + "x" + std::to_string(N) + "x" + std::to_string(Inner);
  auto x = Rows<float>::random(random, T, Outer * N * Inner, 3);
  x.at(T - 1, Outer * N * Inner - 1) = NAN;
  const auto fold = [&](int64_t t, int64_t j, bool max) {
    double total = max ? -INFINITY : 0;
    for (int64_t n = 0; n < N; n++) {
      const double v = x.at(t, (j / Inner * N + n) * Inner + j % Inner);
      total = max ? (std::isnan(v) || v > total ? v : total) : total + v;
    }
    return total;
  };
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> sum(T, Outer * Inner, 3), top(T, Outer * Inner, 3), mean(T, Outer * Inner, 3);
    reduce<Reduce::sum, Outer, N, Inner>(pool, T, x.ptr(), x.stride, sum.ptr(), sum.stride);
    reduce<Reduce::max, Outer, N, Inner>(pool, T, x.ptr(), x.stride, top.ptr(), top.stride);
    reduce<Reduce::mean, Outer, N, Inner>(pool, T, x.ptr(), x.stride, mean.ptr(), mean.stride);
    expect(name + " sum", sum, 1e-7, [&](int64_t t, int64_t j) { return fold(t, j, false); });
    expect(name + " max", top, 0, [&](int64_t t, int64_t j) { return fold(t, j, true); });
    expect(name + " mean", mean, 1e-7, [&](int64_t t, int64_t j) { return fold(t, j, false) / N; });
    return bytes(sum.data) + bytes(top.data) + bytes(mean.data);
  });
}

int main() {
  check<1, 1, 1>(2);
  check<3, 50, 1>(9);
  check<2, 7, 37>(5);
  check<1, 1000, 3>(40);
  return finish();
}
