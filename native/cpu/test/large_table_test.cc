// Rows beyond the first 2^31 elements of a table. Its pages are mapped but not there until written, so that it costs next to nothing.
#include <sys/mman.h>

#include "../gather.h"
#include "../gather_dot.h"
#include "../gather_pool.h"
#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

constexpr int64_t LARGE_ROWS = 70'000'000, LARGE_WIDTH = 32;
static_assert(LARGE_ROWS * LARGE_WIDTH > int64_t{1} << 31);

// Zeros, in no memory until touched.
template <class E>
class SparseTable {
 public:
  explicit SparseTable(int64_t count) : bytes_(static_cast<size_t>(count) * sizeof(E)) {
    at_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at_ == MAP_FAILED) fail("mmap", "no address space for a large table");
  }
  ~SparseTable() { munmap(at_, bytes_); }
  E* data() { return static_cast<E*>(at_); }

 private:
  size_t bytes_;
  void* at_;
};

int main() {
  constexpr int64_t N = LARGE_ROWS, D = LARGE_WIDTH, M = 4, G = 30;
  SparseTable<int8_t> table(N * D);
  SparseTable<float> scale(N);
  const int32_t rows[M] = {3, 67'108'864, 69'000'001, N - 1};  // the second begins at element 2^31
  const auto value = [](int64_t m, int64_t d) { return static_cast<int8_t>((m + 1) * 7 + d); };
  for (int64_t m = 0; m < M; m++) {
    scale.data()[rows[m]] = 0.5f + float(m);
    for (int64_t d = 0; d < D; d++) table.data()[rows[m] * D + d] = value(m, d);
  }
  Pool pool(2, 0);

  Rows<int8_t> copied(1, M * D);
  gather_rows<N, D, M>(pool, 1, table.data(), rows, M, copied.ptr(), M * D);
  expect("gather_rows", copied, 0, [&](int64_t, int64_t j) { return value(j / D, j % D); });

  Rows<int8_t> picked(1, M * D);
  gather<Ints<M, D>, Ints<0, 1>, Ints<1, 0>, N, D>(pool, 1, table.data(), 0, rows, M, picked.ptr(), M * D);
  expect("gather", picked, 0, [&](int64_t, int64_t j) { return value(j / D, j % D); });

  float q[D];
  for (int64_t d = 0; d < D; d++) q[d] = float(d % 5);
  Rows<float> dots(1, M);
  gather_dot<1, N, 1, D, M, 0, 0>(pool, 1, q, D, table.data(), rows, M, dots.ptr(), M);
  expect("gather_dot", dots, 0, [&](int64_t, int64_t m) {
    double sum = 0;
    for (int64_t d = 0; d < D; d++) sum += q[d] * value(m, d);
    return sum;
  });

  // Slots of the last group lie near 2^31 themselves.
  int32_t slots[M];
  for (int64_t m = 0; m < M; m++) slots[m] = static_cast<int32_t>(N * (m % 2 ? G - 1 : 0) + rows[m]);
  const float scores[M] = {1, -2, 3, 4};
  Rows<float> pooled(1, G * D);
  gather_pool<N, D, M, 1, G>(pool, 1, ScaledRows{static_cast<const int8_t*>(table.data()), static_cast<const float*>(scale.data())}, slots, M,
                             scores, M, pooled.ptr(), G * D);
  expect("gather_pool", pooled, 1e-6, [&](int64_t, int64_t j) {
    double sum = 0;
    for (int64_t m = 0; m < M; m++)
      if (slots[m] / N == j / D) sum += double(scores[m]) * (0.5 + double(m)) * value(m, j % D);
    return sum;
  });
  return finish();
}
