// linear over packed panels against sums in f64, for sizes on both sides of every tile, panel and run.
#include "../linear.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t N, int64_t K>
void check_shape(int64_t T, int64_t padding) {
  const std::string name = "linear N=" + std::to_string(N) + " K=" + std::to_string(K) + " T=" + std::to_string(T);
  Random random(uint64_t(N * 31 + K * 7 + T));
  const auto x = Rows<float>::random(random, T, K, padding);
  const bool transposed = T % 2;  // weights as (K, N)
  const auto w = random.floats(N * K);
  const int64_t ldn = transposed ? 1 : K, ldk = transposed ? N : 1;
  for_thread_counts(name, linear_scratch<N, K>(), [&](Pool& pool) {
    std::vector<float> packed(packed_floats(N, K), NAN);
    pack_linear(pool, N, K, w.data(), ldn, ldk, packed.data());
    for (size_t i = 0; i < packed.size(); i++)
      if (int64_t(i / (PANEL * K) * PANEL + i % PANEL) >= N && packed[i] != 0) fail(name + ": columns past N are not zero");
    Rows<float> y(T, N, padding + 2);
    linear<N, K>(pool, T, x.ptr(), x.stride, packed.data(), y.ptr(), y.stride);
    expect(name, y, 1e-6 * double(K) + 1e-6, [&](int64_t t, int64_t n) {
      double sum = 0;
      for (int64_t k = 0; k < K; k++) sum += double(x.at(t, k)) * w[n * ldn + k * ldk];
      return sum;
    });
    // A token alone has the bits it has among others.
    Rows<float> alone(1, N);
    linear<N, K>(pool, 1, x.ptr() + (T - 1) * x.stride, x.stride, packed.data(), alone.ptr(), alone.stride);
    if (std::memcmp(alone.ptr(), &y.at(T - 1, 0), N * 4) != 0) fail(name + ": the last token differs from itself alone");
    return bytes(y.data);
  });
}

int main() {
  for (int64_t T : {1, 2, 3, 4, 5, 6, 7, 11, 49}) {
    check_shape<1, 1>(T, 0);
    check_shape<70, 33>(T, 3);
    check_shape<192, 40>(T, 0);
  }
  for (int64_t T : {1, 6, 13, 100}) {
    check_shape<33, 700>(T, 1);  // more than one run of k
    check_shape<257, 16>(T, 0);
  }
  return finish();
}
