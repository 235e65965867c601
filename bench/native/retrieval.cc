// Stage 2 and pooling of the UltraMem layer that bench/ compares with its peer: n' 1024, Dk = Dv = 192, m 32, H 2, r 2,
// h 2, E 4, 2^18 value rows. Every call takes other tokens, so that rows come from memory as in a real step.
// g++ -std=c++20 -O3 -ffp-contract=fast -march=native -I native/cpu bench/native/retrieval.cc native/cpu/pool.cc -o /tmp/retrieval -pthread
#include "gather_pool.h"
#include "rescore_topk.h"
#include "timing.h"

using namespace ultramem;

constexpr int64_t H = 2, N = 1024, R = 2, D = 192, M = 32, C = 2, K = 32, E = 4, ROWS = 1 << 18, TOKENS = 4096;

static void bench(int threads, int64_t T, const float* table, const float* keys, const int32_t* shuffle, Numbers& numbers) {
  Pool pool(threads, rescore_topk_scratch<H, N, R, D, M, C, K>());
  std::minstd_rand random(7);
  const int64_t sets = TOKENS / T;
  const float* q = numbers.array(sets * T * D);
  const float* core = numbers.array(H * C * R * R);
  std::vector<int32_t> rows(sets * T * H * M), cols(rows.size());
  // Distinct keys per token and head, as a top-k gives.
  for (auto* side : {&rows, &cols})
    for (size_t i = 0; i < side->size(); i += M)
      for (int64_t m = 0; m < M; m++) (*side)[i + m] = int32_t(m * (N / M) + int64_t(random() % (N / M)));
  std::vector<int32_t> slot(T * H * K);
  std::vector<float> scores(T * H * K * C), y(T * E * D);
  int64_t set = 0;
  const auto rescore = [&](const void* next) {
    set = (set + 1) % sets;
    rescore_topk<H, N, R, D, M, C, K, 0, 0>(pool, T, &rows[set * T * H * M], H * M, &cols[set * T * H * M], H * M, q + set * T * D, D, q + set * T * D, D, keys,
                                            keys + H * N * R * D, core, shuffle, slot.data(), H * K, scores.data(), H * K * C, Prefetch{next, ROWS, D * 4, false});
  };
  const auto gather = [&] { gather_pool<ROWS, D, H * K, C, E>(pool, T, table, slot.data(), H * K, scores.data(), H * K * C, y.data(), E * D); };
  const Times alone = time_calls([&] { rescore(nullptr); });
  const Times both = time_calls([&] { rescore(nullptr), gather(); });
  const Times ahead = time_calls([&] { rescore(table), gather(); });
  std::printf("threads %d T %3d  us per token: rescore %.2f (min %.2f)  + gather_pool %.2f (min %.2f)  with rows asked for ahead %.2f (min %.2f)\n", threads, int(T),
              alone.median / T, alone.min / T, both.median / T, both.min / T, ahead.median / T, ahead.min / T);
}

int main() {
  Numbers numbers(1);
  const float* table = numbers.array(ROWS * D);
  const float* keys = numbers.array(2 * H * N * R * D);
  std::vector<int32_t> shuffle(N * N);
  for (int64_t i = 0; i < N * N; i++) shuffle[i] = int32_t(i * 7919 % (N * N));
  for (int threads : {1, 2})
    for (int64_t T : {1, 16, 64, 256}) bench(threads, T, table, keys, shuffle.data(), numbers);
}
