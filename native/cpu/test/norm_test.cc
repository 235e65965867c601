// norm and add_norm against the formula in f64.
#include "../norm.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// The normalised element in f64.
template <class Row>
static double wanted(const Row& x, int64_t D, int64_t d, bool centred, double eps, double w, double bias) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < D; i++) mean += x(i) / static_cast<double>(D);
  if (!centred) mean = 0;
  for (int64_t i = 0; i < D; i++) square += (x(i) - mean) * (x(i) - mean) / static_cast<double>(D);
  return w * ((x(d) - mean) / std::sqrt(square + eps)) + bias;
}

template <int64_t H, int64_t D>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(D * 31 + T)};
  const std::string name = "norm T=" + std::to_string(T) + " H=" + std::to_string(H) + " D=" + std::to_string(D);
  const auto x = Rows<float>::random(random, T, H * D, 3), r = Rows<float>::random(random, T, H * D, 5);
  const auto w = random.floats(D), bias = random.floats(D);
  const float eps = 1e-5f;
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, H * D, 2), z(T, H * D, 3);
    rms_norm_heads<H, D>(pool, T, x.ptr(), x.stride, w.data(), eps, y.ptr(), y.stride);
    layer_norm_heads<H, D>(pool, T, x.ptr(), x.stride, w.data(), bias.data(), eps, z.ptr(), z.stride);
    const auto row = [&](int64_t t, int64_t j) { return [&x, t, h = j / D](int64_t d) { return static_cast<double>(x.at(t, h * D + d)); }; };
    expect(name + " rms", y, 1e-6, [&](int64_t t, int64_t j) { return wanted(row(t, j), D, j % D, false, eps, w[j % D], 0); });
    expect(name + " layer", z, 2e-6, [&](int64_t t, int64_t j) { return wanted(row(t, j), D, j % D, true, eps, w[j % D], bias[j % D]); });
    return bytes(y.data) + bytes(z.data);
  });
  if constexpr (H == 1) {
    for_thread_counts(name, 0, [&](Pool& pool) {
      Rows<float> sum(T, D, 1), y(T, D, 2), z(T, D, 4), same = x;
      add_norm<D>(pool, T, x.ptr(), x.stride, r.ptr(), r.stride, w.data(), eps, sum.ptr(), sum.stride, y.ptr(), y.stride);
      expect(name + " sum", sum, 1e-7, [&](int64_t t, int64_t d) { return x.at(t, d) + r.at(t, d); });
      const auto row = [&](int64_t t) { return [&sum, t](int64_t d) { return static_cast<double>(sum.at(t, d)); }; };
      expect(name + " add_norm", y, 1e-6, [&](int64_t t, int64_t d) { return wanted(row(t), D, d, false, eps, w[d], 0); });
      add_layer_norm<D>(pool, T, same.ptr(), same.stride, r.ptr(), r.stride, w.data(), nullptr, eps, same.ptr(), same.stride, z.ptr(), z.stride);
      expect(name + " in place", same, 0, [&](int64_t t, int64_t d) { return sum.at(t, d); });
      expect(name + " add_layer_norm", z, 2e-6, [&](int64_t t, int64_t d) { return wanted(row(t), D, d, true, eps, w[d], 0); });
      return bytes(sum.data) + bytes(y.data) + bytes(z.data);
    });
  }
}

int main() {
  check<1, 1>(3);
  check<1, 13>(7);
  check<6, 32>(5);
  check<3, 20>(40);
  check<1, 192>(130);
  return finish();
}
