// linear over packed panels against sums in f64, for sizes on both sides of every tile, panel and run.
#include "../linear.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t N, int64_t K, class E>
void check_shape(int64_t T, int64_t padding) {
  const std::string name = std::string(sizeof(E) == 2 ? "bf16 " : "") + "linear N=" + std::to_string(N) + " K=" + std::to_string(K) + " T=" + std::to_string(T);
  Random random(uint64_t(N * 31 + K * 7 + T));
  const auto x = Rows<float>::random(random, T, K, padding);
  const bool transposed = T % 2;  // weights as (K, N)
  auto exact = random.floats(N * K);
  const auto w = stored_as<E>(exact);
  const bool rounds = kMultipliesPairs && sizeof(E) == 2 && T > TILE_ROWS;
  const int64_t ldn = transposed ? 1 : K, ldk = transposed ? N : 1;
  for_thread_counts(name, linear_scratch<N, K, E>(), [&](Pool& pool) {
    std::vector<E> packed(packed_elements<E>(N, K), convert<E>(float(NAN)));
    pack_linear(pool, N, K, w.data(), ldn, ldk, packed.data());
    for (size_t i = 0; i < packed.size(); i++)
      if (int64_t(i / (STRIP * panel_rows<E>(K)) * STRIP + i / kGroup<E> % STRIP) >= N && to_float(packed[i]) != 0) fail(name + ": columns past N are not zero");
    Rows<float> y(T, N, padding + 2);
    linear<N, K>(pool, T, x.ptr(), x.stride, packed.data(), y.ptr(), y.stride);
    expect(name, y, 1e-6 * double(K) + 1e-6, [&](int64_t t, int64_t n) {
      double sum = 0;
      for (int64_t k = 0; k < K; k++) sum += double(rounds ? to_float(to_bf16(x.at(t, k))) : x.at(t, k)) * exact[n * ldn + k * ldk];
      return sum;
    });
    if (rounds) return bytes(y.data);
    // A token alone has the bits it has among others.
    Rows<float> alone(1, N);
    linear<N, K>(pool, 1, x.ptr() + (T - 1) * x.stride, x.stride, packed.data(), alone.ptr(), alone.stride);
    if (std::memcmp(alone.ptr(), &y.at(T - 1, 0), N * 4) != 0) fail(name + ": the last token differs from itself alone");
    return bytes(y.data);
  });
}

template <class E>
void check_all() {
  for (int64_t T : {1, 2, 3, 4, 5, 6, 7, 11, 49}) {
    check_shape<1, 1, E>(T, 0);
    check_shape<70, 33, E>(T, 3);
    check_shape<192, 40, E>(T, 0);
  }
  for (int64_t T : {1, 6, 13, 100}) {
    check_shape<33, 700, E>(T, 1);  // more than one run of k
    check_shape<257, 16, E>(T, 0);
  }
  check_shape<700, 65, E>(13, 0);  // pieces of several panels
}

int main() {
  check_all<float>();
  check_all<BF16>();
  return finish();
}
