// Rows of a table that lies in a mapped file: their pages are asked for all at once, so that the system reads them side by side.
// Touched one after the other, each page not in memory would be waited for alone.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "extents.h"

namespace ultramem {

// Pages asked for lately, so that those of rows that are read again and again cost no call of the system. Far fewer than fit memory:
// by the time that reading rows has pushed a page out, others have taken its place here.
class LatelyAsked {
 public:
  // Whether the page was asked for; from now on it was.
  static bool test_and_set(uintptr_t page) {
    static std::atomic<uint32_t> entries[kEntries];
    const uint32_t tag = static_cast<uint32_t>(page);
    std::atomic<uint32_t>& entry = entries[tag * 0x9E3779B1u / (0xFFFFFFFFu / kEntries + 1)];
    if (entry.load(std::memory_order_relaxed) == tag) return true;
    entry.store(tag, std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr uint32_t kEntries = 1 << 16;
};

// Pages of rows slot mod `rows` of the table at `base`, for `count` slots; a call of the system for every run of adjacent
// pages. What is asked for is a hint: where it fails, the row is read when it is touched. `base` in a mapped file.
template <class I>
void ask_pages(const void* base, int64_t rows, int64_t row_bytes, const I* slots, int64_t count) {
  constexpr int64_t kAtOnce = 64;  // slots whose pages are put in order
  static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct Run {
    uintptr_t begin, end;
  } runs[kAtOnce];
  const auto table = reinterpret_cast<uintptr_t>(base);
  for (int64_t first = 0; first < count; first += kAtOnce) {
    int64_t n = 0;
    for (int64_t i = first; i < std::min(count, first + kAtOnce); i++) {
      const int64_t slot = static_cast<int64_t>(slots[i]);
      const uintptr_t at = table + static_cast<uintptr_t>((slot < 0 ? 0 : slot % rows) * row_bytes);
      const uintptr_t begin = at / page, end = (at + static_cast<uintptr_t>(row_bytes) + page - 1) / page;
      bool known = true;
      for (uintptr_t p = begin; p < end; p++) known &= LatelyAsked::test_and_set(p);
      if (!known) runs[n++] = {begin * page, end * page};
    }
    std::sort(runs, runs + n, [](const Run& a, const Run& b) { return a.begin < b.begin; });
    for (int64_t i = 0; i < n;) {
      Run run = runs[i++];
      for (; i < n && runs[i].begin <= run.end; i++) run.end = std::max(run.end, runs[i].end);
      madvise(reinterpret_cast<void*>(run.begin), run.end - run.begin, MADV_WILLNEED);
    }
  }
}

// table [N] rows of RowBytes, slot [T,R] (int32_t or int64_t, token stride ld).
template <int64_t N, int64_t RowBytes, int64_t R, class I>
void ask_rows(Pool& pool, int64_t T, const void* table, const I* slot, int64_t ld) {
  parallel_rows(pool, T, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) ask_pages(table, N, RowBytes, slot + t * ld, R);
  });
}

}  // namespace ultramem
