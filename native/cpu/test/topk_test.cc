// topk against a full sort by the order rule, over rows with ties, NaN, infinities and signed zeros.
#include "../topk.h"

#include <numeric>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

constexpr float INF = std::numeric_limits<float>::infinity();
constexpr float NAN_VALUE = std::numeric_limits<float>::quiet_NaN();

// The rule written a second time, without keys.
bool before(float a, int32_t i, float b, int32_t j) {
  if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
  if (std::isnan(a) || a == b) return i < j;
  return a > b;
}

float draw(Random& random, int kind) {
  const float x = random.normal();
  switch (kind) {
    case 0: return x;
    case 1: return std::round(x);                                       // many ties, both zeros
    case 2: return random.below(3) ? NAN_VALUE : x;                     // mostly NaN
    case 3: return random.below(2) ? INF : random.below(2) ? -INF : x;  // more infinities than places
    case 4: return random.below(4) ? -INF : NAN_VALUE;                  // nothing finite
    case 5: return 0.0f;
    case 6: return random.below(50) ? -1e30f * std::fabs(x) : x * 1e-40f;  // far apart, denormals
    default: return random.below(20) ? NAN_VALUE : random.below(2) ? x : -0.0f;
  }
}

template <int64_t N, int64_t K>
void check_rows() {
  const int64_t rows = 16;
  Random random(N * 1000 + K);
  Rows<float> x(rows, N, 3);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < N; i++) x.at(r, i) = draw(random, int(r % 8));
  // Rising and falling rows are the hardest and the easiest for a running bound.
  for (int64_t i = 0; i < N; i++) x.at(8, i) = float(i), x.at(9, i) = float(-i);
  const std::string name = "topk N=" + std::to_string(N) + " K=" + std::to_string(K);
  for_thread_counts(name, topk_scratch<N, K>(), [&](Pool& pool) {
    Rows<float> values(rows, K);
    Rows<int32_t> index(rows, K);
    topk<N, K>(pool, rows, x.ptr(), x.stride, values.ptr(), index.ptr());
    std::vector<int32_t> order(N);
    for (int64_t r = 0; r < rows; r++) {
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return before(x.at(r, a), a, x.at(r, b), b); });
      for (int64_t j = 0; j < K; j++) {
        const std::string place = name + " row " + std::to_string(r) + " place " + std::to_string(j);
        if (index.at(r, j) != order[j])
          fail(place + ": index " + std::to_string(index.at(r, j)) + ", want " + std::to_string(order[j]));
        const float want = x.at(r, order[j]), got = values.at(r, j);
        if (std::memcmp(&want, &got, 4) != 0) fail(place + ": value " + std::to_string(got) + ", want " + std::to_string(want));
      }
    }
    return bytes(values.data) + bytes(index.data);
  });
}

int main() {
  const float ordered[] = {INF, 3e38f, 1.5f, 1e-40f, 0.0f, -1e-40f, -2.0f, -INF, NAN_VALUE};
  for (int i = 0; i + 1 < 9; i++) {
    if (order_key(ordered[i]) <= order_key(ordered[i + 1])) fail("key of " + std::to_string(ordered[i]));
    if (order_value(order_key(ordered[i])) != ordered[i]) fail("value of the key of " + std::to_string(ordered[i]));
  }
  if (order_key(0.0f) != order_key(-0.0f)) fail("signed zeros are equal");
  check_rows<1, 1>();
  check_rows<7, 7>();
  check_rows<129, 32>();
  check_rows<256, 256>();
  check_rows<1024, 32>();
  check_rows<5001, 8>();    // more than one run
  check_rows<9000, 100>();
  check_rows<1500, 500>();  // sorted, not counted
  return finish();
}
