// rescore_topk against all scores in f64.
#include "../rescore_topk.h"

#include <set>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// Scores against f64; slots by value: no place left out may beat the last one kept, and the order is descending.
template <int64_t H, int64_t N, int64_t R, int64_t D, int64_t M, int64_t C, int64_t K, int64_t QueryHead, int64_t QueryRank>
static void check(int64_t T, bool shuffled) {
  Random random{static_cast<uint64_t>(D + T + shuffled)};
  const std::string name = "rescore_topk T=" + std::to_string(T) + " M=" + std::to_string(M) + " R=" + std::to_string(R) + " C=" + std::to_string(C);
  constexpr int64_t width = (H - 1) * QueryHead + (R - 1) * QueryRank + D;
  const auto q_row = Rows<float>::random(random, T, width, 2), q_col = Rows<float>::random(random, T, width, 1);
  const auto keys_row = random.floats(H * N * R * D), keys_col = random.floats(H * N * R * D), core = random.floats(H * C * R * R);
  Rows<int32_t> rows(T, H * M, 1), cols(T, H * M, 3);
  for (auto* side : {&rows, &cols})
    for (int64_t t = 0; t < T; t++)
      for (int64_t h = 0; h < H; h++) {
        std::set<int32_t> used;  // a top-k never names a key twice
        for (int64_t m = 0; m < M; m++) {
          int32_t n;
          do n = static_cast<int32_t>(random.below(N));
          while (!used.insert(n).second);
          side->at(t, h * M + m) = n;
        }
      }
  std::vector<int32_t> shuffle(N * N), back(N * N);
  for (int64_t i = 0; i < N * N; i++) shuffle[i] = static_cast<int32_t>((i * 7919 + 3) % (N * N));
  for (int64_t i = 0; i < N * N; i++) back[shuffle[i]] = static_cast<int32_t>(i);
  const auto dot = [&](const Rows<float>& q, const std::vector<float>& keys, int64_t t, int64_t h, int64_t n, int64_t r) {
    double sum = 0;
    for (int64_t d = 0; d < D; d++) sum += static_cast<double>(q.at(t, h * QueryHead + r * QueryRank + d)) * keys[((h * N + n) * R + r) * D + d];
    return sum;
  };
  // grid[t][h] → core scores by address
  const auto core_score = [&](const double* s_row, const double* s_col, int64_t h, int64_t c) {
    double sum = 0;
    for (int64_t i = 0; i < R; i++)
      for (int64_t j = 0; j < R; j++) sum += s_row[i] * core[((h * C + c) * R + i) * R + j] * s_col[j];
    return sum;
  };
  const double tolerance = 2e-5 * static_cast<double>(D);
  for_thread_counts(name, rescore_topk_scratch<H, N, R, D, M, C, K>(), [&](Pool& pool) {
    Rows<int32_t> slot(T, H * K, 2);
    Rows<float> scores(T, H * K * C, 1);
    rescore_topk<H, N, R, D, M, C, K, QueryHead, QueryRank>(pool, T, rows.ptr(), rows.stride, cols.ptr(), cols.stride, q_row.ptr(), q_row.stride, q_col.ptr(),
                                                            q_col.stride, keys_row.data(), keys_col.data(), core.data(), shuffled ? shuffle.data() : nullptr,
                                                            slot.ptr(), slot.stride, scores.ptr(), scores.stride, Prefetch{core.data(), 1, 16, false});
    if (pool.threads() == 1)
      for (int64_t t = 0; t < T; t++)
        for (int64_t h = 0; h < H; h++) {
          std::vector<double> s_row(M * R), s_col(M * R);
          for (int64_t m = 0; m < M; m++)
            for (int64_t r = 0; r < R; r++) {
              s_row[m * R + r] = dot(q_row, keys_row, t, h, rows.at(t, h * M + m), r);
              s_col[m * R + r] = dot(q_col, keys_col, t, h, cols.at(t, h * M + m), r);
            }
          std::set<int32_t> kept;
          double last = INFINITY;
          for (int64_t k = 0; k < K; k++) {
            const int32_t s = slot.at(t, h * K + k);
            require(name, s >= 0 && s < N * N && kept.insert(s).second, "slot out of range or twice");
            const int32_t address = shuffled ? back[s] : s;
            const int64_t a = std::find(&rows.at(t, h * M), &rows.at(t, h * M) + M, address / N) - &rows.at(t, h * M);
            const int64_t b = std::find(&cols.at(t, h * M), &cols.at(t, h * M) + M, address % N) - &cols.at(t, h * M);
            require(name, a < M && b < M, "address of keys that were not selected");
            if (a >= M || b >= M) continue;
            double total = 0;
            for (int64_t c = 0; c < C; c++) {
              const double want = core_score(&s_row[a * R], &s_col[b * R], h, c);
              require(name, near(scores.at(t, (h * K + k) * C + c), want, tolerance), "score " + std::to_string(scores.at(t, (h * K + k) * C + c)) + ", want " + std::to_string(want));
              total += want;
            }
            require(name, total <= last + tolerance, "not descending");
            last = total;
          }
          for (int64_t p = 0; p < M * M; p++) {
            const int32_t address = static_cast<int32_t>(rows.at(t, h * M + p / M) * N + cols.at(t, h * M + p % M));
            double total = 0;
            for (int64_t c = 0; c < C; c++) total += core_score(&s_row[p / M * R], &s_col[p % M * R], h, c);
            require(name, total <= last + tolerance || kept.count(shuffled ? shuffle[address] : address), "a better place was left out");
          }
        }
    require(name, slot.untouched() && scores.untouched(), "wrote between the rows");
    return bytes(slot.data) + bytes(scores.data);
  });
}

int main() {
  check<2, 100, 2, 192, 32, 2, 32, 0, 0>(1, true);
  check<2, 50, 2, 33, 9, 2, 9, 0, 33>(5, false);
  check<3, 20, 3, 16, 5, 4, 20, 16, 0>(4, true);
  check<1, 7, 1, 5, 1, 1, 1, 0, 0>(2, false);
  check<1, 90, 2, 24, 80, 2, 80, 0, 0>(2, true);
  return finish();
}
