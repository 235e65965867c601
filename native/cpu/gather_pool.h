// Weighted, grouped sum of value rows (UltraMem §1 steps 12-13).
#pragma once
#include <algorithm>

#include "extents.h"
#include "stored.h"

namespace ultramem {

// Rows asked for ahead of the one being added: enough to have as many cache lines on the way as a core can.
constexpr int64_t kPoolAhead = 16;

constexpr int64_t clamp_slot(int64_t slot, int64_t count) { return slot < 0 ? 0 : slot >= count ? count - 1 : slot; }

inline void prefetch_bytes(const void* from, int64_t bytes) {
  const char* at = static_cast<const char*>(from);
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i, 0, 2);
}

// Sums columns [First, Last) of the R rows of tokens [begin, end). A column's sum runs over the rows in order, so how
// columns and tokens are cut changes no bit. Constant bounds: the loops over a row's lines unroll, worth a third of the time.
template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, int64_t First, int64_t Last, class Table>
inline void pool_columns(int64_t begin, int64_t end, Table table, const int32_t* slot, int64_t ldslot,
                         const float* scores, int64_t ldscores, float* y, int64_t ldy) {
  constexpr int64_t slice = D / C, ahead = std::min(kPoolAhead, R);
  const auto ask = [&](int32_t s) {
    const int64_t row = clamp_slot(s, G * N) % N;
    prefetch_bytes(element(table, row * D + First), (Last - First) * int64_t(sizeof(*element(table, 0))));
    prefetch_scale(table, row);
  };
  for (int64_t j = 0; j < ahead; j++) ask(slot[begin * ldslot + j]);
  for (int64_t t = begin; t < end; t++) {
    const int32_t* slots = slot + t * ldslot;
    float* yt = y + t * ldy;
    for (int64_t g = 0; g < G; g++) std::fill(yt + g * D + First, yt + g * D + Last, 0.f);
    for (int64_t j = 0; j < R; j++) {
      if (j + ahead < R) ask(slots[j + ahead]);
      else if (t + 1 < end) ask(slots[ldslot + j + ahead - R]);
      const int64_t s = clamp_slot(slots[j], G * N);
      const auto* row = element(table, s % N * D);
      float* to = yt + s / N * D;
      for (int64_t c = 0; c < C; c++) {
        const Vec weight = splat(scaled(table, s % N, scores[t * ldscores + j * C + c]));
        const int64_t stop = std::min(Last, (c + 1) * slice);
        int64_t d = std::max(First, c * slice);
        for (; d + LANES <= stop; d += LANES) store(to + d, multiply_add(weight, load(row + d), load(to + d)));
        if (d < stop) {
          const int n = static_cast<int>(stop - d);
          store_first(to + d, multiply_add(weight, load_first(row + d, n), load_first(to + d, n)), n);
        }
      }
    }
  }
}

// table [N,D], slot [T,R], scores [T,R,C] → y [T,G,D]: row = slot mod N goes to group slot div N; columns
// [c*D/C, (c+1)*D/C) are weighted by score c. Table: a pointer, or ScaledRows, whose factors go to the scores. Slots are clamped to [0, G*N). D divisible by C.
template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, class Table>
void gather_pool(Pool& pool, int64_t T, Table table, const int32_t* slot, int64_t ldslot, const float* scores,
                 int64_t ldscores, float* y, int64_t ldy) {
  static_assert(D % C == 0, "column slices are equal");
  // Few tokens: pieces of columns too, at least two cache lines wide.
  constexpr int64_t width = D < 64 ? D : (D / 6 + 31) / 32 * 32 < 64 ? 64 : (D / 6 + 31) / 32 * 32;
  constexpr int64_t parts = (D + width - 1) / width;
  if (T >= 8 || parts == 1) {
    parallel_rows(pool, T, std::clamp<int64_t>(T / 16, 1, 8), [&](int64_t begin, int64_t end, int) {
      pool_columns<N, D, R, C, G, 0, D>(begin, end, table, slot, ldslot, scores, ldscores, y, ldy);
    });
  } else {
    parallel_rows(pool, T * parts, 1, [&](int64_t piece, int64_t, int) {
      const int64_t t = piece / parts;
      [&]<int64_t... Part>(std::integer_sequence<int64_t, Part...>) {
        ((piece % parts == Part
              ? pool_columns<N, D, R, C, G, Part * width, std::min((Part + 1) * width, D)>(t, t + 1, table, slot, ldslot, scores, ldscores, y, ldy)
              : void()),
         ...);
      }(std::make_integer_sequence<int64_t, parts>{});
    });
  }
}

}  // namespace ultramem
