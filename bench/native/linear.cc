// Times linear on the shapes of one UltraMem V1 layer and prints the share of the processor's multiply-add peak, measured in
// the same run. Build: g++ -std=c++20 -O3 -ffp-contract=fast -march=native -I native/cpu bench/native/linear.cc native/cpu/pool.cc -o /tmp/linear
#include "linear.h"

#include "machine_limits.h"
#include "timing.h"

using namespace ultramem;

template <int64_t N, int64_t K>
void measure(Pool& pool) {
  Numbers numbers(1);
  float* w = numbers.array(N * K);
  float* packed = numbers.array(packed_elements<float>(N, K));
  pack_linear(pool, N, K, w, K, 1, packed);
  for (int64_t T : {1, 2, 3, 4, 5, 6, 16, 64, 256}) {
    float* x = numbers.array(T * K);
    float* y = numbers.array(T * N);
    const Times times = time_calls([&] { linear<N, K>(pool, T, x, K, packed, y, N); });
    const double flops = 2.0 * T * N * K;
    std::printf("linear %lldx%lld T=%-4lld threads %d  min %8.1f us  median %8.1f us  %6.1f GFLOP/s  %5.1f GB/s of weights\n",
                (long long)N, (long long)K, (long long)T, pool.threads(), times.min, times.median, flops / times.min / 1e3,
                4e-3 * packed_elements<float>(N, K) / times.min);
  }
}

int main() {
  for (int threads : {1, 2}) {
    Pool pool(threads, 64);
    std::printf("multiply-add peak of %d threads: %.1f GFLOP/s\n", threads, multiply_add_peak(pool));
    measure<384, 1024>(pool);
    measure<1024, 768>(pool);
  }
}
