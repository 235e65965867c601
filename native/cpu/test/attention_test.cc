// attention with its cache: prompts and single tokens of several sequences, fed in mixed steps.
#include "../attention.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

struct Run {
  int32_t sequence, position, count;
};

// Steps of mixed prompts and single tokens against the definition in f64 over everything fed so far.
template <int64_t Hq, int64_t Hkv, int64_t D, int64_t C>
static void check(const std::vector<std::vector<Run>>& steps, float size) {
  const std::string name = "attention Hq=" + std::to_string(Hq) + " Hkv=" + std::to_string(Hkv) + " D=" + std::to_string(D);
  Random random{static_cast<uint64_t>(Hq * 100 + D)};
  constexpr int64_t S = 4, cache = S * C * Hkv * D;
  const float scale = 1 / std::sqrt(static_cast<float>(D));
  std::vector<double> keys(cache), values(cache);
  struct Step {
    Rows<float> q, k, v;
    std::vector<int32_t> positions, sequence;
    Rows<float> want;
  };
  std::vector<Step> fed;
  for (const auto& runs : steps) {
    int64_t T = 0;
    for (const Run& r : runs) T += r.count;
    Step step{Rows<float>::random(random, T, Hq * D, 3), Rows<float>::random(random, T, Hkv * D, 1), Rows<float>::random(random, T, Hkv * D, 2), {}, {}, Rows<float>(T, Hq * D)};
    for (float& x : step.q.data) x *= size;
    for (const Run& r : runs)
      for (int32_t i = 0; i < r.count; i++) step.positions.push_back(r.position + i), step.sequence.push_back(r.sequence);
    const auto at = [&](int64_t s, int64_t p) { return (s * C + p) * Hkv * D; };
    for (int64_t t = 0; t < T; t++)
      for (int64_t j = 0; j < Hkv * D; j++) {
        keys[at(step.sequence[t], step.positions[t]) + j] = step.k.at(t, j);
        values[at(step.sequence[t], step.positions[t]) + j] = step.v.at(t, j);
      }
    for (int64_t t = 0; t < T; t++)
      for (int64_t h = 0; h < Hq; h++) {
        const int64_t kv = h / (Hq / Hkv);
        std::vector<double> w(step.positions[t] + 1);
        double top = -INFINITY, total = 0;
        for (size_t p = 0; p < w.size(); p++) {
          w[p] = 0;
          for (int64_t d = 0; d < D; d++) w[p] += static_cast<double>(step.q.at(t, h * D + d)) * keys[at(step.sequence[t], p) + kv * D + d] * scale;
          top = std::fmax(top, w[p]);
        }
        for (double& x : w) total += x = std::exp(x - top);
        for (int64_t d = 0; d < D; d++) {
          double sum = 0;
          for (size_t p = 0; p < w.size(); p++) sum += w[p] * values[at(step.sequence[t], p) + kv * D + d];
          step.want.at(t, h * D + d) = static_cast<float>(sum / total);
        }
      }
    fed.push_back(std::move(step));
  }
  for_thread_counts(name, attention_scratch<Hq, Hkv, D, C>(), [&](Pool& pool) {
    std::vector<float> kcache(cache, NAN), vcache(cache, NAN);  // what was never written must not be read
    std::string all;
    for (size_t n = 0; n < fed.size(); n++) {
      const Step& step = fed[n];
      Rows<float> y(step.q.count, Hq * D, 4);
      attention<Hq, Hkv, D, C>(pool, step.q.count, step.q.ptr(), step.q.stride, step.k.ptr(), step.k.stride, step.v.ptr(), step.v.stride, step.positions.data(),
                               step.sequence.data(), scale, kcache.data(), vcache.data(), y.ptr(), y.stride);
      expect(name + " step " + std::to_string(n), y, 1e-5, [&](int64_t t, int64_t j) { return step.want.at(t, j); });
      all += bytes(y.data);
    }
    return all + bytes(kcache);
  });
}

int main() {
  const std::vector<std::vector<Run>> mixed = {{{1, 0, 5}, {0, 0, 1}}, {{0, 1, 1}, {1, 5, 1}, {2, 0, 90}, {3, 0, 1}}, {{2, 90, 1}, {1, 6, 20}, {3, 1, 1}}, {{2, 91, 1}}, {{0, 0, 2}}};
  check<6, 6, 32, 128>(mixed, 1);
  check<8, 2, 16, 100>(mixed, 8);
  check<3, 1, 20, 96>(mixed, 1);
  check<2, 2, 5, 92>(mixed, 30);
  check<40, 1, 8, 92>(mixed, 1);  // more query heads than rows of a sweep
  check<36, 36, 8, 92>(mixed, 1);  // more kv heads than a sweep takes at once
  check<24, 12, 16, 92>(mixed, 1);
  return finish();
}
