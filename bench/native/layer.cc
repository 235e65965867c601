// Times one UltraMem V1 layer made of this project's kernels, each kernel alone and all in order, on random weights; for
// products also as a share of the f32 multiply-add peak measured in the same run; weights of f32, then of bf16.
// Build: g++ -std=c++20 -O3 -ffp-contract=fast -march=native -pthread -I native/cpu bench/native/layer.cc native/cpu/pool.cc -o /tmp/layer
#include "gather_pool.h"
#include "norm.h"
#include "rescore_topk.h"
#include "score_topk.h"
#include "timing.h"

using namespace ultramem;

constexpr int64_t D = 1024, KEYS = 1024, DK = 192, DV = 192, E = 4, H = 2, M = 32, RANK = 2, CORES = 2, ROWS = 1 << 18;

template <class W>
void run(const char* type, double peak) {
  Numbers numbers(1);
  const W* query_weight = numbers.array<W>(packed_elements<W>(2 * DK, D));
  const float* norm_weight = numbers.array(DK);
  const W* folded[2] = {numbers.array<W>(H * KEYS * DK), numbers.array<W>(H * KEYS * DK)};
  BF16* packed[2] = {numbers.array<BF16>(H * packed_elements<BF16>(KEYS, DK)), numbers.array<BF16>(H * packed_elements<BF16>(KEYS, DK))};
  float bounds[2][2 * H];
  {
    Pool pool(1, 0);
    for (int side = 0; side < 2; side++) pack_keys<H, KEYS, DK>(pool, folded[side], packed[side], bounds[side]);
  }
  const W* keys[2] = {numbers.array<W>(H * KEYS * RANK * DK), numbers.array<W>(H * KEYS * RANK * DK)};
  const float* cores = numbers.array(H * CORES * RANK * RANK);
  const W* table = numbers.array<W>(ROWS * DV);
  const W* projection = numbers.array<W>(packed_elements<W>(D, E * DV));
  std::vector<int32_t> shuffle(E * ROWS);
  for (size_t i = 0; i < shuffle.size(); i++) shuffle[i] = int32_t(i);
  std::shuffle(shuffle.begin(), shuffle.end(), std::minstd_rand(1));

  for (int threads : {1, 2}) {
    Pool pool(threads, std::max({score_topk_scratch<H, KEYS, DK, M, false>(), rescore_topk_scratch<H, KEYS, RANK, DK, M, CORES, M>(), linear_scratch<2 * DK, D, W>(), linear_scratch<D, E * DV, W>()}));
    for (int64_t T : {1, 4, 16, 64, 256}) {
      float* x = numbers.array(T * D);
      float* raw = numbers.array(T * 2 * DK);
      float* q = numbers.array(T * 2 * DK);
      float* values = numbers.array(T * H * M);
      std::vector<int32_t> index[2] = {std::vector<int32_t>(T * H * M), std::vector<int32_t>(T * H * M)}, slot(T * H * M);
      float* scores = numbers.array(T * H * M * CORES);
      float* pooled = numbers.array(T * E * DV);
      float* y = numbers.array(T * D);

      const auto query = [&] { linear<2 * DK, D>(pool, T, x, D, query_weight, raw, 2 * DK); };
      const auto norm = [&] { rms_norm_heads<2, DK>(pool, T, raw, 2 * DK, norm_weight, 1e-5f, q, 2 * DK); };
      const auto score = [&] {
        for (int side = 0; side < 2; side++)
          score_topk<H, KEYS, DK, M, false>(pool, T, q + side * DK, 2 * DK, folded[side], packed[side], bounds[side], values, index[side].data());
      };
      const auto rescore = [&] {
        rescore_topk<H, KEYS, RANK, DK, M, CORES, M, 0, 0>(pool, T, index[0].data(), H * M, index[1].data(), H * M, q, 2 * DK, q + DK,
                                                           2 * DK, keys[0], keys[1], cores, shuffle.data(), slot.data(), H * M, scores,
                                                           H * M * CORES, Prefetch{table, ROWS, DV * int64_t(sizeof(W))});
      };
      const auto pool_rows = [&] {
        gather_pool<ROWS, DV, H * M, CORES, E>(pool, T, table, slot.data(), H * M, scores, H * M * CORES, pooled, E * DV);
      };
      const auto project = [&] { linear<D, E * DV>(pool, T, pooled, E * DV, projection, y, D); };
      const auto layer = [&] { query(), norm(), score(), rescore(), pool_rows(), project(); };
      layer();
      const auto print = [&](const char* name, double flops, const Times& times) {
        std::printf("%s threads %d  T=%-4lld %-10s min %8.1f us  median %8.1f us", type, threads, (long long)T, name, times.min, times.median);
        if (flops > 0) std::printf("  %5.1f %% of peak", 100 * flops * double(T) / times.min / 1e3 / peak / threads);
        std::printf("\n");
      };
      print("query", 2.0 * D * 2 * DK, time_calls(query));
      print("norm", 0, time_calls(norm));
      print("score", 2.0 * 2 * H * KEYS * DK, time_calls(score));
      print("rescore", 0, time_calls(rescore));
      print("pool", 0, time_calls(pool_rows));
      print("project", 2.0 * D * E * DV, time_calls(project));
      print("layer", 2.0 * (D * 2 * DK + 2 * H * KEYS * DK + D * E * DV), time_calls([&] {
              // Other tokens each time, so that the table's rows are not the same ones again.
              for (int64_t i = 0; i < T * D; i += 64) x[i] = x[(i + 64 * 7) % (T * D)] + 0.1f;
              layer();
            }));
    }
  }
}

int main() {
  const double peak = multiply_add_peak();
  std::printf("multiply-add peak of one thread: %.1f GFLOP/s\n", peak);
  run<float>("f32 ", peak);
  run<BF16>("bf16", peak);
}
