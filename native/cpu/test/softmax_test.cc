// softmax against the formula in f64, for small and large inputs.
#include "../softmax.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t H, int64_t D>
static void check(int64_t T, float range) {
  Random random{static_cast<uint64_t>(D * 7 + T)};
  const std::string name = "softmax T=" + std::to_string(T) + " H=" + std::to_string(H) + " D=" + std::to_string(D);
  auto x = Rows<float>::random(random, T, H * D, 3);
  for (int64_t t = 0; t < T; t++)
    for (int64_t j = 0; j < H * D; j++) x.at(t, j) *= range;
  if (D > 2) x.at(0, 1) = -INFINITY;
  if (T > 1) x.at(T - 1, H * D - 1) = NAN;
  const auto want = [&](int64_t t, int64_t j) {
    const int64_t h = j / D;
    double top = -INFINITY, total = 0;
    for (int64_t d = 0; d < D; d++) top = std::fmax(top, x.at(t, h * D + d));
    for (int64_t d = 0; d < D; d++) total += std::exp(x.at(t, h * D + d) - top);
    return std::exp(x.at(t, j) - top) / total;
  };
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, H * D, 2), same = x;
    softmax<H, D>(pool, T, x.ptr(), x.stride, y.ptr(), y.stride);
    softmax<H, D>(pool, T, same.ptr(), same.stride, same.ptr(), same.stride);
    expect(name, y, 3e-7, want);
    expect(name + " in place", same, 3e-7, want);
    return bytes(y.data);
  });
}

int main() {
  check<1, 1>(2, 1);
  check<2, 5>(3, 100);
  check<3, 32>(70, 5);
  check<1, 257>(40, 20);
  return finish();
}
