// Pooled rows, projected (UltraMem §1 steps 12-14), tile of tokens by tile: while the products of one tile keep the multipliers
// busy, the rows of the next are fetched. Apart, the fetching of rows far away and the products would each wait for the other.
#pragma once
#include <utility>

#include "gather_pool.h"
#include "linear.h"

namespace ultramem {

// Asks for the rows of consecutive tokens, a few cache lines a call.
template <int64_t N, int64_t D, int64_t R, class Table>
class RowsAhead {
 public:
  // Rows of `slots` (tokens · R, token stride ld), all asked for after about `calls` calls.
  RowsAhead(Table table, const int32_t* slots, int64_t ld, int64_t tokens, int64_t calls)
      : table_(table), slots_(slots), ld_(ld), rows_(tokens * R), lines_((rows_ * LINES + calls - 1) / (calls > 0 ? calls : 1)) {}

  void operator()() {
    for (int64_t n = 0; n < lines_; n++) {
      if (line_ == LINES) {
        if (row_ == rows_) return;
        const int64_t slot = slots_[row_ / R * ld_ + row_ % R];
        const int64_t row = slot < 0 ? 0 : slot % N;
        at_ = reinterpret_cast<const char*>(element(table_, row * D));
        prefetch_scale(table_, row);
        row_++;
        line_ = 0;
      }
      __builtin_prefetch(at_ + line_ * 64, 0, 2);
      line_++;
    }
  }

 private:
  static constexpr int64_t LINES = (D * int64_t(sizeof(*element(std::declval<Table>(), 0))) + 63) / 64;
  const Table table_;
  const int32_t* const slots_;
  const int64_t ld_, rows_, lines_;
  int64_t row_ = 0, line_ = LINES;
  const char* at_ = nullptr;
};

constexpr int64_t POOL_TILE = 24;  // tokens: their rows fit the second cache or nearly

template <int64_t OUT, int64_t K, class W>
constexpr size_t pool_linear_scratch() {
  return linear_scratch<OUT, K, W>();
}

// gather_pool into pooled (T, G·D), then linear over packed [OUT, G·D] into y (T, OUT); the same bits as one after the other.
template <int64_t N, int64_t D, int64_t R, int64_t C, int64_t G, int64_t OUT, class Table, class W>
void pool_linear(Pool& pool, int64_t T, Table table, const int32_t* slot, int64_t ldslot, const float* scores, int64_t ldscores,
                 float* pooled, const W* packed, float* y, int64_t ldy) {
  constexpr int64_t K = G * D, PANELS = (OUT + PANEL - 1) / PANEL;
  constexpr bool ROUNDS = linear_scratch<OUT, K, W>() > 0;
  const int64_t threads = pool.threads(), fewest = TILE_ROWS + 1;  // tokens of a tile, so that all are rounded or none
  const int64_t wanted = (T + POOL_TILE * threads - 1) / (POOL_TILE * threads) * threads;
  const int64_t tiles = wanted < T / fewest ? wanted : T / fewest;
  if (tiles < threads) {
    gather_pool<N, D, R, C, G>(pool, T, table, slot, ldslot, scores, ldscores, pooled, K);
    linear<OUT, K>(pool, T, pooled, K, packed, y, ldy);
    return;
  }
  pool.parallel(tiles, [&](int64_t tile, [[maybe_unused]] int worker) {
    const auto start = [&](int64_t i) { return (i < tiles ? i : tiles) * T / tiles; };
    const int64_t first = start(tile), tokens = start(tile + 1) - first;
    float* const rows = pooled + first * K;
    pool_columns<N, D, R, C, G, 0, D>(0, tokens, table, slot + first * ldslot, ldslot, scores + first * ldscores, ldscores, rows, K);
    // The tile that most likely is this thread's next.
    const int64_t next = start(tile + threads), ahead = start(tile + threads + 1) - next;
    const int64_t calls = PANELS * ((tokens + TILE_ROWS - 1) / TILE_ROWS) * ((K + kStep - 1) / kStep);
    RowsAhead<N, D, R, Table> besides(table, slot + next * ldslot, ldslot, ahead, calls);
    if constexpr (ROUNDS) {
      BF16* const rounded = reinterpret_cast<BF16*>(pool.scratch(worker));
      round_rows<K>(tokens, rows, K, rounded);
      linear_panels<OUT, K>(0, PANELS, tokens, rounded, panel_rows<W>(K), packed, y + first * ldy, ldy, besides);
    } else {
      linear_panels<OUT, K>(0, PANELS, tokens, rows, K, packed, y + first * ldy, ldy, besides);
    }
  });
}

}  // namespace ultramem
