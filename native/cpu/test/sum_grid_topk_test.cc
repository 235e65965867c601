// sum_grid_topk against a full sort of the grid.
#include "../sum_grid_topk.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// Small whole numbers: many sums are equal, so that the order rule decides; every third row has infinities and NaN.
template <int64_t H, int64_t N, int64_t M, int64_t K>
static void check(int64_t T) {
  Random random{static_cast<uint64_t>(M * 10 + K)};
  const std::string name = "sum_grid_topk H=" + std::to_string(H) + " M=" + std::to_string(M) + " K=" + std::to_string(K);
  Rows<float> row(T, H * M, 1), col(T, H * M, 2);
  Rows<int32_t> row_index(T, H * M), col_index(T, H * M, 3);
  for (int64_t t = 0; t < T; t++)
    for (int64_t h = 0; h < H; h++)
      for (Rows<float>* side : {&row, &col}) {
        std::vector<float> values(M);
        for (float& v : values) {
          v = static_cast<float>(random.below(9) - 4);
          if (t % 3 == 2 && random.below(4) == 0) v = random.below(2) ? INFINITY : random.below(2) ? -INFINITY : NAN;
        }
        std::sort(values.begin(), values.end(), [](float a, float b) { return stands_before(a, 0, b, 0); });
        for (int64_t m = 0; m < M; m++) side->at(t, h * M + m) = values[m];
      }
  for (int64_t t = 0; t < T; t++)
    for (int64_t j = 0; j < H * M; j++) {
      row_index.at(t, j) = static_cast<int32_t>(random.below(N));
      col_index.at(t, j) = static_cast<int32_t>(random.below(N));
    }
  std::vector<int32_t> shuffle(N * N);
  for (int64_t i = 0; i < N * N; i++) shuffle[i] = static_cast<int32_t>(N * N - 1 - i);
  const auto sum = [&](int64_t t, int64_t h, int64_t place) { return row.at(t, h * M + place / M) + col.at(t, h * M + place % M); };
  Rows<int32_t> want(T, H * K);
  for (int64_t t = 0; t < T; t++)
    for (int64_t h = 0; h < H; h++) {
      std::vector<int32_t> all(M * M);
      for (int32_t p = 0; p < M * M; p++) all[p] = p;
      std::sort(all.begin(), all.end(), [&](int32_t p, int32_t q) { return stands_before(sum(t, h, p), p, sum(t, h, q), q); });
      for (int64_t k = 0; k < K; k++) want.at(t, h * K + k) = all[k];
    }
  for (const int32_t* table : {static_cast<const int32_t*>(nullptr), static_cast<const int32_t*>(shuffle.data())})
    for_thread_counts(name, sum_grid_topk_scratch<M, K>(), [&](Pool& pool) {
      Rows<int32_t> slot(T, H * K, 2);
      Rows<float> scores(T, H * K, 1);
      sum_grid_topk<H, N, M, K>(pool, T, row.ptr(), row.stride, col.ptr(), col.stride, row_index.ptr(), row_index.stride,
                                col_index.ptr(), col_index.stride, table, slot.ptr(), slot.stride, scores.ptr(), scores.stride);
      expect(name, slot, 0, [&](int64_t t, int64_t j) {
        const int64_t h = j / K, place = want.at(t, j);
        const int32_t address = static_cast<int32_t>(row_index.at(t, h * M + place / M) * N + col_index.at(t, h * M + place % M));
        return table ? table[address] : address;
      });
      expect(name + " scores", scores, 0, [&](int64_t t, int64_t j) { return sum(t, j / K, want.at(t, j)); });
      return bytes(slot.data) + bytes(scores.data);
    });
}

int main() {
  check<1, 2, 1, 1>(3);
  check<2, 9, 7, 7>(9);
  check<3, 30, 16, 16>(7);
  check<1, 40, 5, 25>(7);
  check<1, 90, 42, 84>(6);
  check<2, 20, 32, 3>(6);
  check<1, 300, 256, 300>(4);
  return finish();
}
