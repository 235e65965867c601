// Rows of a table that lies in a mapped file: their pages are asked for all at once, so that the system reads them side by side.
// Touched one after the other, each page not in memory would be waited for alone.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "extents.h"

namespace ultramem {

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
    const int64_t n = std::min(count - first, kAtOnce);
    for (int64_t i = 0; i < n; i++) {
      const int64_t slot = static_cast<int64_t>(slots[first + i]);
      const uintptr_t at = table + static_cast<uintptr_t>((slot < 0 ? 0 : slot % rows) * row_bytes);
      runs[i] = {at / page * page, (at + static_cast<uintptr_t>(row_bytes) + page - 1) / page * page};
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
