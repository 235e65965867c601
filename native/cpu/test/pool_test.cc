// The pool: every piece once, nothing after the call returns, workers of their own scratch, sleep and wake.
#include "../pool.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

static void check_pieces(Pool& pool, int64_t pieces) {
  std::vector<std::atomic<int>> runs(size_t(pieces) + 1);
  for (auto& r : runs) r = 0;
  std::atomic<int> bad_worker{0};
  pool.parallel(pieces, [&](int64_t piece, int worker) {
    runs[size_t(piece)]++;
    if (worker < 0 || worker >= pool.threads()) bad_worker++;
    pool.scratch(worker)[0] = char(piece);
  });
  for (int64_t i = 0; i < pieces; i++)
    if (runs[size_t(i)] != 1) fail("piece " + std::to_string(i) + " of " + std::to_string(pieces) + " ran " + std::to_string(runs[size_t(i)]) + " times");
  if (runs[size_t(pieces)] != 0 || bad_worker) fail("a piece or worker that does not exist");
}

int main() {
  for (int threads : {0, 1, 2, 3, 8}) {
    Pool pool(threads, 100);
    if (pool.threads() != (threads ? threads : 1)) fail("threads");
    for (int worker = 0; worker < pool.threads(); worker++) {
      if (reinterpret_cast<uintptr_t>(pool.scratch(worker)) % 64) fail("scratch is not aligned");
      std::memset(pool.scratch(worker), worker, 100);
    }
    for (int worker = 0; worker < pool.threads(); worker++)
      for (int i = 0; i < 100; i++)
        if (pool.scratch(worker)[i] != worker) fail("scratches overlap");
    for (int64_t pieces : {0, 1, 2, 3, 7, 64, 1000}) check_pieces(pool, pieces);
    // Call after call, so that late workers of one meet the next.
    std::vector<int64_t> sums(16);
    for (int call = 0; call < 3000; call++)
      pool.parallel(1 + call % 16, [&](int64_t piece, int) { sums[size_t(piece)] += call; });
    int64_t got = 0, want = 0;
    for (int64_t sum : sums) got += sum;
    for (int call = 0; call < 3000; call++) want += int64_t(call) * (1 + call % 16);
    if (got != want) fail("lost or doubled pieces with " + std::to_string(threads) + " threads");
    // Asleep, then woken.
    for (int i = 0; i < 5; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      if (i % 2) pool.rouse();
      check_pieces(pool, 5);
    }
  }
  for (int i = 0; i < 50; i++) Pool unused(4, 0);  // ended while its workers start, spin or sleep
  return finish();
}
