// causal_conv with its window: sequences fed in steps of mixed lengths equal the whole sequence at once.
#include "../causal_conv.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// Three sequences fed in steps of mixed lengths; a restart at position 0 in the middle.
template <int64_t D, int64_t K>
static void check() {
  const std::string name = "causal_conv D=" + std::to_string(D) + " K=" + std::to_string(K);
  Random random{static_cast<uint64_t>(D * K)};
  constexpr int64_t S = 3;
  const auto w = random.floats(D * K);
  struct Run {
    int32_t sequence, position, count;
  };
  const std::vector<std::vector<Run>> steps = {
      {{1, 0, 5}, {0, 0, 1}}, {{0, 1, 1}, {1, 5, 1}, {2, 0, 7}}, {{2, 7, 40}, {0, 2, 2}}, {{1, 0, 2}, {2, 47, 1}}, {{1, 2, 3}}};
  std::vector<std::vector<std::vector<float>>> history(S);  // [sequence][position][column]
  std::vector<Rows<float>> inputs, wanted;
  std::vector<std::vector<int32_t>> positions, sequences;
  for (const auto& step : steps) {
    int64_t T = 0;
    for (const Run& r : step) T += r.count;
    auto x = Rows<float>::random(random, T, D, 3);
    Rows<float> y(T, D, 3);
    std::vector<int32_t> p, s;
    for (const Run& r : step)
      for (int32_t i = 0; i < r.count; i++) {
        const int64_t t = static_cast<int64_t>(p.size());
        p.push_back(r.position + i);
        s.push_back(r.sequence);
        auto& past = history[r.sequence];
        past.resize(r.position + i);
        past.emplace_back(&x.at(t, 0), &x.at(t, 0) + D);
        for (int64_t d = 0; d < D; d++) {
          double sum = 0;
          for (int64_t j = 0; j < K && j <= r.position + i; j++) sum += static_cast<double>(w[d * K + K - 1 - j]) * past[r.position + i - j][d];
          y.at(t, d) = static_cast<float>(sum);
        }
      }
    inputs.push_back(x);
    wanted.push_back(y);
    positions.push_back(p);
    sequences.push_back(s);
  }
  for_thread_counts(name, 0, [&](Pool& pool) {
    std::vector<float> window(S * (K - 1) * D, NAN);  // rows before position 0 must not be read
    std::string all;
    for (size_t i = 0; i < inputs.size(); i++) {
      Rows<float> y(inputs[i].count, D, 1);
      causal_conv<D, K>(pool, inputs[i].count, inputs[i].ptr(), inputs[i].stride, w.data(), positions[i].data(), sequences[i].data(),
                        window.data(), y.ptr(), y.stride);
      expect(name + " step " + std::to_string(i), y, 1e-6, [&](int64_t t, int64_t d) { return wanted[i].at(t, d); });
      all += bytes(y.data);
    }
    return all;
  });
}

int main() {
  check<7, 1>();
  check<130, 2>();
  check<64, 4>();
  check<3, 5>();
  return finish();
}
