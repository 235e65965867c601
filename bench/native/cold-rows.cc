// Value rows that lie in a file and not in memory: pooled with their pages asked for ahead (native/cpu/ask_rows.h), and without.
//
//   g++ -std=c++20 -O3 -march=native -Wno-psabi -pthread -I native bench/native/cold-rows.cc native/cpu/pool.cc -o cold-rows
//   ./cold-rows file [threads [rounds]]
//
// The file, of 512 MB at least, is taken as a table of bf16 rows of 512 bytes, whatever it holds. A token pools 64 random rows from
// each of six parts of the table, one part after the other, as a decoder with six memories does. Both ways take turns, on rows of
// their own; before each turn the pages of the file leave memory. Prints a JSON object: microseconds per token, medians of rounds.
#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "cpu/ask_rows.h"
#include "cpu/gather_pool.h"

using namespace ultramem;

namespace {

constexpr int64_t ROWS = 160000, WIDTH = 256, R = 64, PARTS = 6, TOKENS = 32;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int file = argc > 1 ? open(argv[1], O_RDONLY) : -1;
  struct stat info;
  if (file < 0 || fstat(file, &info) != 0 || info.st_size < ROWS * PARTS * WIDTH * 2) return std::fprintf(stderr, "cold-rows: wants a file of 512 MB\n"), 1;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1, rounds = argc > 3 ? std::atoi(argv[3]) : 9;
  const size_t length = size_t(info.st_size);
  std::mt19937_64 random(1);
  Pool pool(threads, 64);
  std::vector<float> scores(R * 2, 0.5f), pooled(4 * WIDTH);
  std::vector<double> times[4];  // without and with; the same once the rows are in memory
  for (int round = 0; round < rounds; round++) {
    for (int way : {0, 1}) {
      posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      char* const base = static_cast<char*>(mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file, 0));
      madvise(base, length, MADV_RANDOM);
      // Parts lie evenly in the file, so that its rows are spread over all of it.
      std::vector<int32_t> slots(TOKENS * PARTS * R);
      for (int32_t& slot : slots) slot = int32_t(random() % (4 * ROWS));
      for (int pass = 0; pass < 2; pass++) {
        const auto start = std::chrono::steady_clock::now();
        for (int64_t t = 0; t < TOKENS; t++)
          for (int64_t part = 0; part < PARTS; part++) {
            const BF16* const table = reinterpret_cast<const BF16*>(base + length / PARTS / 4096 * 4096 * part);
            const int32_t* const slot = slots.data() + (t * PARTS + part) * R;
            if (way == 1) ask_rows<ROWS, WIDTH * 2, R>(pool, 1, table, slot, R);
            gather_pool<ROWS, WIDTH, R, 2, 4>(pool, 1, table, slot, R, scores.data(), R * 2, pooled.data(), 4 * WIDTH);
          }
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        times[2 * pass + way].push_back(seconds / TOKENS * 1e6);
      }
      // The pages go, their addresses stay taken: what was asked for lately goes by addresses.
      mmap(base, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
  }
  std::vector<double> ratios;
  for (int round = 0; round < rounds; round++) ratios.push_back(times[0][round] / times[1][round]);
  std::printf("{\"threads\": %d, \"touched\": %.0f, \"asked\": %.0f, \"ratio\": %.2f, \"leastRatio\": %.2f, \"againTouched\": %.0f, \"againAsked\": %.0f}\n",
              threads, median(times[0]), median(times[1]), median(ratios), *std::min_element(ratios.begin(), ratios.end()), median(times[2]), median(times[3]));
  return 0;
}
