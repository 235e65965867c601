// grid_topk against a full sort of the grid.
#include "../grid_topk.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// Small whole numbers: all sums are exact in f32 and many are equal, so that the order rule decides; some rows NaN.
template <int64_t H, int64_t M, int64_t R, int64_t C, int64_t K>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(M * 10 + K)};
  const std::string name = "grid_topk M=" + std::to_string(M) + " R=" + std::to_string(R) + " C=" + std::to_string(C) + " K=" + std::to_string(K);
  Rows<float> row(T, H * M * R, 1), col(T, H * M * R, 2);
  std::vector<float> core(H * C * R * R);
  for (float& c : core) c = static_cast<float>(random.below(5) - 2);
  for (int64_t t = 0; t < T; t++)
    for (int64_t j = 0; j < H * M * R; j++) {
      row.at(t, j) = static_cast<float>(random.below(7) - 3);
      col.at(t, j) = t % 4 == 3 && random.below(3) == 0 ? NAN : static_cast<float>(random.below(7) - 3);
    }
  const auto score = [&](int64_t t, int64_t h, int64_t p, int64_t c) {
    float total = 0;
    for (int64_t i = 0; i < R; i++)
      for (int64_t j = 0; j < R; j++) total += row.at(t, (h * M + p / M) * R + i) * core[((h * C + c) * R + i) * R + j] * col.at(t, (h * M + p % M) * R + j);
    return total;
  };
  Rows<int32_t> want(T, H * K);
  for (int64_t t = 0; t < T; t++)
    for (int64_t h = 0; h < H; h++) {
      std::vector<std::pair<float, int32_t>> all;
      for (int32_t p = 0; p < M * M; p++) {
        float total = 0;
        for (int64_t c = 0; c < C; c++) total += score(t, h, p, c);
        all.push_back({total, p});
      }
      std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return stands_before(a.first, a.second, b.first, b.second); });
      for (int64_t k = 0; k < K; k++) want.at(t, h * K + k) = all[k].second;
    }
  for_thread_counts(name, grid_topk_scratch<M, R, C, K>(), [&](Pool& pool) {
    Rows<int32_t> position(T, H * K, 2);
    Rows<float> scores(T, H * K * C, 1);
    grid_topk<H, M, R, C, K>(pool, T, row.ptr(), row.stride, col.ptr(), col.stride, core.data(), position.ptr(), position.stride, scores.ptr(), scores.stride);
    expect(name, position, 0, [&](int64_t t, int64_t j) { return want.at(t, j); });
    expect(name + " scores", scores, 0, [&](int64_t t, int64_t j) { return score(t, j / (K * C), position.at(t, j / C), j % C); });
    return bytes(position.data) + bytes(scores.data);
  });
}

int main() {
  check<2, 32, 2, 2, 32>(6);
  check<1, 1, 1, 1, 1>(2);
  check<3, 5, 3, 4, 7>(9);
  check<1, 7, 8, 8, 49>(4);
  check<1, 80, 2, 2, 80>(4);
  check<1, 256, 1, 2, 300>(4);
  check<2, 42, 2, 1, 3>(4);
  return finish();
}
