// score_topk against scores in f64 and a full sort. Where two scores are closer than rounding either order is right, so
// random shapes are compared by score; small integers, whose scores are exact and full of ties, are compared by index.
#include "../score_topk.h"

#include <numeric>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// close: keys that differ by less than bf16 keeps. wide: keys and queries whose sizes differ by much.
enum class Kind { normal, integers, broken, close, wide };

template <int64_t H, int64_t N, int64_t D, int64_t K, bool PerHead, class E = float>
void check_shape(int64_t T, Kind kind) {
  const std::string name = "score_topk H=" + std::to_string(H) + " N=" + std::to_string(N) + " D=" + std::to_string(D) + " K=" +
                           std::to_string(K) + " per head " + std::to_string(PerHead) + " T=" + std::to_string(T) + " kind " +
                           std::to_string(int(kind));
  Random random(uint64_t(N * 31 + T + int(kind)));
  Rows<float> q(T, PerHead ? H * D : D, 5);
  std::vector<float> keys = random.floats(H * N * D);
  for (float& x : q.data) x = kind == Kind::integers ? float(random.below(3) - 1) : random.normal();
  if (kind == Kind::integers)
    for (float& x : keys) x = float(random.below(3) - 1);
  if (kind == Kind::close)
    for (int64_t i = 0; i < H * N; i++)
      for (int64_t d = 0; d < D; d++) keys[i * D + d] = d == 0 ? 1 + float(i * 7919 % (H * N)) * 0x1p-14f : 0.25f;
  if (kind == Kind::wide) {
    for (float& x : keys) x *= std::exp2(float(random.below(40)) - 30);
    for (float& x : q.data) x *= std::exp2(float(random.below(60)) - 30);
  }
  if (kind == Kind::broken)
    for (int64_t i = 0; i < H * N; i++)
      if (random.below(3) == 0)
        keys[i * D + random.below(D)] = random.below(2) ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();

  const auto stored = stored_as<E>(keys);
  // What the kernel's own arithmetic may be off by.
  const double tolerance = kind == Kind::integers ? 0 : kind == Kind::close ? 1e-6 : 1e-5;
  for_thread_counts(name, score_topk_scratch<H, N, D, K, PerHead>(), [&](Pool& pool) {
    std::vector<int32_t> packed(byte_keys_words(H, N, D));
    pack_keys<H, N, D>(pool, stored.data(), packed.data());
    Rows<float> values(T, H * K);
    Rows<int32_t> index(T, H * K);
    score_topk<H, N, D, K, PerHead>(pool, T, q.ptr(), q.stride, stored.data(), packed.data(), values.ptr(), index.ptr());
    std::vector<float> scores(N);
    std::vector<double> sizes(N);  // what tolerances are relative to
    std::vector<int32_t> order(N);
    for (int64_t t = 0; t < T; t++)
      for (int64_t h = 0; h < H; h++) {
        const std::string row = name + " token " + std::to_string(t) + " head " + std::to_string(h);
        for (int64_t n = 0; n < N; n++) {
          double sum = 0, size = 0;
          for (int64_t d = 0; d < D; d++) {
            const double product = double(q.at(t, (PerHead ? h * D : 0) + d)) * keys[(h * N + n) * D + d];
            sum += product;
            size += std::fabs(product);
          }
          scores[n] = float(sum);
          sizes[n] = kind == Kind::wide ? size : double(D);
        }
        std::iota(order.begin(), order.end(), 0);
        std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return stands_before(scores[a], a, scores[b], b); });
        std::vector<bool> seen(N);
        for (int64_t j = 0; j < K; j++) {
          const std::string place = row + " place " + std::to_string(j);
          const int32_t got = index.at(t, h * K + j);
          if (got < 0 || got >= N || seen[got]) {
            fail(place + ": index " + std::to_string(got));
            continue;
          }
          seen[got] = true;
          if (tolerance == 0 && got != order[j]) fail(place + ": index " + std::to_string(got) + ", want " + std::to_string(order[j]));
          // The value belongs to the index, and to the place.
          const double slack = tolerance * std::max(sizes[got], sizes[order[j]]);
          for (const float want : {scores[got], scores[order[j]]}) {
            const float value = values.at(t, h * K + j);
            const bool same = std::isnan(want) ? std::isnan(value) : value == want || std::fabs(value - want) <= slack;
            if (!same) fail(place + ": value " + std::to_string(value) + ", want " + std::to_string(want));
          }
        }
      }
    return bytes(values.data) + bytes(index.data);
  });
}

template <int64_t H, int64_t N, int64_t D, int64_t K, bool PerHead, class E = float>
void check_all(std::initializer_list<int64_t> tokens) {
  for (int64_t T : tokens)
    for (Kind kind : {Kind::normal, Kind::integers, Kind::broken, Kind::close, Kind::wide}) check_shape<H, N, D, K, PerHead, E>(T, kind);
}

int main() {
  check_all<1, 7, 3, 7, false>({1, 9});
  check_all<3, 100, 5, 9, true>({1, 4, 25});
  check_all<2, 515, 19, 32, false>({1, 7, 24, 26});  // parts, with a short last panel
  check_all<1, 530, 12, 256, false>({1, 8});         // parts shorter than k
  check_all<1, 3000, 6, 20, true>({1, 6, 30});       // runs
  check_all<2, 515, 19, 32, false, BF16>({1, 7, 26});
  return finish();
}
