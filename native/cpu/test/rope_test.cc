// rope against rotations in f64.
#include "../rope.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t H, int64_t D, RopeLayout Layout>
static void check(int64_t T, int64_t context) {
  Random random{static_cast<uint64_t>(D + T)};
  const std::string name = "rope T=" + std::to_string(T) + " H=" + std::to_string(H) + " D=" + std::to_string(D);
  const auto x = Rows<float>::random(random, T, H * D, 3);
  const auto positions = random.indices(T, context);
  const double theta = 10000;
  const auto want = [&](int64_t t, int64_t j) {
    const int64_t h = j / D, d = j % D, half = D / 2;
    const bool halves = Layout == RopeLayout::half;
    const int64_t pair = halves ? d % half : d / 2;
    const bool first = halves ? d < half : d % 2 == 0;
    const double angle = positions[t] * std::pow(theta, -2.0 * static_cast<double>(pair) / D);
    const double a = x.at(t, h * D + (halves ? pair : 2 * pair)), b = x.at(t, h * D + (halves ? pair + half : 2 * pair + 1));
    return first ? a * std::cos(angle) - b * std::sin(angle) : b * std::cos(angle) + a * std::sin(angle);
  };
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, H * D, 2), same = x;
    rope<H, D, Layout>(pool, T, x.ptr(), x.stride, positions.data(), theta, y.ptr(), y.stride);
    rope<H, D, Layout>(pool, T, same.ptr(), same.stride, positions.data(), theta, same.ptr(), same.stride);
    expect(name, y, 5e-7, want);
    expect(name + " in place", same, 5e-7, want);
    return bytes(y.data);
  });
}

int main() {
  check<1, 2, RopeLayout::half>(3, 10);
  check<6, 32, RopeLayout::half>(200, 1000000);
  check<3, 10, RopeLayout::interleaved>(50, 4096);
  check<2, 64, RopeLayout::interleaved>(1, 131072);
  return finish();
}
