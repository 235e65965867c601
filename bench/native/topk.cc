// Times the selection of the top k of rows of random scores, one thread.
// Build: g++ -std=c++20 -O3 -ffp-contract=fast -march=native -I native/cpu bench/native/topk.cc native/cpu/pool.cc -o /tmp/topk
#include "topk.h"

#include "timing.h"

using namespace ultramem;

template <int64_t N, int64_t K>
void measure() {
  Pool pool(1, topk_scratch<N, K>());
  Numbers numbers(1);
  constexpr int64_t ROWS = 4096;  // so many that no branch predictor remembers them
  float* x = numbers.array(ROWS * N);
  float* values = numbers.array(ROWS * K);
  int32_t* index = reinterpret_cast<int32_t*>(numbers.array(ROWS * K));
  const Times times = time_calls([&] { topk<N, K>(pool, ROWS, x, N, values, index); });
  std::printf("topk %lld of %lld: min %.3f us  median %.3f us\n", (long long)K, (long long)N, times.min / ROWS, times.median / ROWS);
}

int main() {
  measure<1024, 32>();
  measure<1616, 80>();
  measure<3584, 42>();
  measure<1024, 256>();

}
