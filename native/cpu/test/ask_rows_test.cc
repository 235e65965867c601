// ask_rows on a file that is not in memory: pages of the rows asked for come, nearly all others stay away.
#include "../ask_rows.h"

#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <int64_t N, int64_t ROW_BYTES, int64_t R>
static void check(int64_t T) {
  const std::string name = "ask_rows of " + std::to_string(ROW_BYTES) + " bytes, T=" + std::to_string(T);
  char path[] = "/tmp/ultramem-ask-XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  const std::vector<char> row(ROW_BYTES, 7);
  for (int64_t i = 0; i < N; i++)
    if (write(file, row.data(), ROW_BYTES) != ROW_BYTES) return fail(name, "no room for a file");
  Random random{static_cast<uint64_t>(T)};
  auto slots = Rows<int32_t>::indices(random, T, R, 3 * N, 2);
  slots.at(0, 0) = -5;
  slots.at(T - 1, R - 1) = N - 1;
  fsync(file);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  const int64_t length = N * ROW_BYTES, page = sysconf(_SC_PAGESIZE), pages = (length + page - 1) / page;
  char* const table = static_cast<char*>(mmap(nullptr, length, PROT_READ, MAP_SHARED, file, 0));
  madvise(table, length, MADV_RANDOM);
  std::vector<unsigned char> present(pages);
  const auto count = [&] {
    mincore(table, length, present.data());
    int64_t n = 0;
    for (unsigned char p : present) n += p & 1;
    return n;
  };
  // A file system that lives in memory keeps its pages: nothing can be seen there.
  if (count() * 10 > pages) {
    std::printf("%s: [SKIP] files in /tmp do not leave memory\n", name.c_str());
  } else {
    Pool pool(2, 64);
    ask_rows<N, ROW_BYTES, R>(pool, T, table, slots.ptr(), slots.stride);
    std::vector<bool> wanted(pages);
    for (int64_t t = 0; t < T; t++)
      for (int64_t r = 0; r < R; r++) {
        const int64_t s = slots.at(t, r), at = (s < 0 ? 0 : s % N) * ROW_BYTES;
        for (int64_t p = at / page; p <= (at + ROW_BYTES - 1) / page; p++) wanted[p] = true;
      }
    int64_t missing = 1, asked = 0;
    for (bool w : wanted) asked += w;
    for (int wait = 0; missing > 0 && wait < 2000; wait++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      count();
      missing = 0;
      for (int64_t p = 0; p < pages; p++) missing += wanted[p] && !(present[p] & 1);
    }
    require(name, missing == 0, std::to_string(missing) + " pages never came");
    require(name, count() < asked * 2 + pages / 4, std::to_string(count()) + " pages came, " + std::to_string(asked) + " were asked for");
  }
  close(file);  // the mapping stays: what was asked for lately goes by addresses
}

int main() {
  check<20000, 512, 64>(1);
  check<20000, 1000, 100>(3);
  check<300, 65536, 5>(4);
  return finish();
}
