// Kernels of retrieval.cu against loops: all data are small whole numbers, so every sum is exact and results are equal, ties too.
#include <algorithm>
#include <numeric>
#include <random>

#include "check.h"

#define DECLARE(types)                                                                                                      \
  void one_##types(const void*, const void*, float*, int*);                                                                 \
  void tile_##types(const void*, const void*, int*);                                                                        \
  void dot_##types(const void*, const void*, const int*, void*);                                                            \
  void grid_##types(const void*, const void*, const void*, int*, float*);                                                   \
  void rescore_##types(const int*, const int*, const void*, const void*, const void*, const void*, const void*, int*,       \
                       float*);                                                                                             \
  void pool_##types(const void*, const int*, const float*, void*);                                                          \
  void pool_many_##types(const void*, const int*, const float*, void*);
extern "C" {
DECLARE(ff)
DECLARE(fb)
DECLARE(bf)
DECLARE(bb)
void merge(const int*, float*, int*);
void mma16(const void*, const void*, float*, int*);
void mma32(const void*, const void*, int*);
void mma64(const void*, const void*, float*, int*);
}

#define KERNEL(name) simt::kernel<name>(#name, "model.ts:1:1")

using Values = std::vector<float>;
using Indices = std::vector<int>;

static std::mt19937 random_bits(1);
static const simt::Options options{true, false, 1};

static Values numbers(size_t count, int most) {
  Values out(count);
  for (float& x : out) x = float(int(random_bits() % unsigned(2 * most + 1)) - most);
  return out;
}
static Indices indices(size_t count, int first, int end) {
  Indices out(count);
  for (int& x : out) x = first + int(random_bits() % unsigned(end - first));
  return out;
}

static uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static float of_bf16(uint16_t x) {
  const uint32_t bits = uint32_t(x) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

// An operand of type 'f' or 'b'; wide: room for either.
struct Operand {
  char type;
  Buffer<uint16_t> memory;
  Operand(char type, size_t count) : type(type), memory(count * (type == 'f' ? 2 : 1), "operand") {}
  Operand(char type, const Values& values) : Operand(type, values.size()) {
    for (size_t i = 0; i < values.size(); i++) {
      if (type == 'f') std::memcpy(memory.at + 2 * i, &values[i], 4);
      else memory.at[i] = to_bf16(values[i]);
    }
    simt::written(memory.at, memory.count * 2);
  }
  void* at() const { return memory.at; }
  // Whether it holds these values, as this type can.
  bool holds(const Values& values) const {
    for (size_t i = 0; i < values.size(); i++) {
      float got;
      if (type == 'f') std::memcpy(&got, memory.at + 2 * i, 4);
      else got = of_bf16(memory.at[i]);
      if (got != (type == 'f' ? values[i] : of_bf16(to_bf16(values[i])))) return false;
    }
    return true;
  }
};

template <class T>
static bool equal(const Buffer<T>& got, const std::vector<T>& wanted) {
  return std::equal(wanted.begin(), wanted.end(), got.at);
}

// The K best of `scores`, in order; equal ones by index.
static Indices best(const Values& scores, int K) {
  Indices order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[size_t(a)] > scores[size_t(b)]; });
  order.resize(size_t(K));
  return order;
}

static float dot(const float* a, const float* b, int count) { return std::inner_product(a, a + count, b, 0.0f); }

struct Selection {
  int T, H, N, D, K;
  bool per_head;
  Values q = numbers(size_t(T * D * (per_head ? H : 1)), 3), keys = numbers(size_t(H * N * D), 3), values = {};
  Indices index = {};
  void select() {
    for (int t = 0; t < T; t++)
      for (int h = 0; h < H; h++) {
        Values scores(size_t(N), 0.0f);
        for (int n = 0; n < N; n++)
          scores[size_t(n)] = dot(&q[size_t(per_head ? (t * H + h) * D : t * D)], &keys[size_t((h * N + n) * D)], D);
        for (const int i : best(scores, K)) values.push_back(scores[size_t(i)]), index.push_back(i);
      }
  }
};

// Runs a kernel that selects at once, or leaves `parts` lists for `merge`.
static void selects(const simt::Kernel& kernel, const simt::Shape& shape, const char* types, Selection s, int parts) {
  s.select();
  const Operand q(types[0], s.q), keys(types[1], s.keys);
  Buffer<float> values(s.values.size(), "values");
  Buffer<int> index(s.index.size(), "index"), partial(s.index.size() * size_t(parts) * 2, "partial");
  if (parts == 1) {
    clean(run(kernel, shape, options, q.at(), keys.at(), values.at, index.at), kernel.name);
  } else {
    clean(run(kernel, shape, options, q.at(), keys.at(), partial.at), kernel.name);
    const simt::Shape merging = {{unsigned(s.T), unsigned(s.H), 1}, {128, 1, 1}, 0};
    clean(run(KERNEL(merge), merging, options, partial.at, values.at, index.at), "merge");
  }
  check(equal(values, s.values) && equal(index, s.index), kernel.name);
}

constexpr int T = 3, H = 2, N = 50, R = 3, D = 24, M = 7, C = 2, K = 9;
constexpr int PER_TOKEN = R * H * D;  // of queries of each rank and head

// y (T, H, M, R)
static Values rank_scores(const Values& q, const Values& keys, const Indices& index) {
  Values y;
  for (int t = 0; t < T; t++)
    for (int h = 0; h < H; h++)
      for (int m = 0; m < M; m++)
        for (int r = 0; r < R; r++)
          y.push_back(dot(&q[size_t(t * PER_TOKEN + h * D + r * H * D)],
                          &keys[size_t(((h * N + index[size_t((t * H + h) * M + m)]) * R + r) * D)], D));
  return y;
}

// Position (T, H, K) and scores (T, H, K, C) of row, col (T, H, M, R).
static void select_cells(const Values& row, const Values& col, const Values& core, Indices& position, Values& scores) {
  for (int th = 0; th < T * H; th++) {
    Values all[C], sum(M * M, 0.0f);
    for (int c = 0; c < C; c++)
      for (int cell = 0; cell < M * M; cell++) {
        float score = 0;
        for (int i = 0; i < R; i++)
          for (int j = 0; j < R; j++)
            score += row[size_t((th * M + cell / M) * R + i)] * core[size_t(((th % H * C + c) * R + i) * R + j)] *
                     col[size_t((th * M + cell % M) * R + j)];
        all[c].push_back(score);
        sum[size_t(cell)] += score;
      }
    for (const int cell : best(sum, K)) {
      position.push_back(cell);
      for (const Values& of : all) scores.push_back(of[size_t(cell)]);
    }
  }
}

struct Kernels {
  const char* types;
  simt::Kernel one, tile, dot, grid, rescore, pool, pool_many;
};
#define ALL(types) \
  {#types, KERNEL(one_##types), KERNEL(tile_##types), KERNEL(dot_##types), KERNEL(grid_##types), KERNEL(rescore_##types), \
   KERNEL(pool_##types), KERNEL(pool_many_##types)}

static void ranks(const Kernels& kernels) {
  const auto [a, b] = std::pair(kernels.types[0], kernels.types[1]);
  const simt::Shape shape = {{T, H, 1}, {256, 1, 1}, 0};
  const Values q_row = numbers(T * PER_TOKEN, 2), q_col = numbers(T * PER_TOKEN, 2), core = numbers(H * C * R * R, 1);
  const Values keys_row = numbers(H * N * R * D, 2), keys_col = numbers(H * N * R * D, 2);
  const Indices row_index = indices(T * H * M, 0, N), col_index = indices(T * H * M, 0, N);
  const Buffer<int> rows(row_index, "row_index"), columns(col_index, "col_index");

  const Values row = rank_scores(q_row, keys_row, row_index), col = rank_scores(q_col, keys_col, col_index);
  const Operand y(a, row.size());
  clean(run(kernels.dot, shape, options, Operand(a, q_row).at(), Operand(b, keys_row).at(), rows.at, y.at()), kernels.dot.name);
  check(y.holds(row), kernels.dot.name);

  const Values small_row = numbers(T * H * M * R, 9), small_col = numbers(T * H * M * R, 9);
  Indices position, slot;
  Values scores, of_slots;
  select_cells(small_row, small_col, core, position, scores);
  Buffer<int> got(position.size(), "position");
  Buffer<float> got_scores(scores.size(), "scores");
  clean(run(kernels.grid, shape, options, Operand(a, small_row).at(), Operand(b, small_col).at(), Operand(a, core).at(), got.at,
            got_scores.at),
        kernels.grid.name);
  check(equal(got, position) && equal(got_scores, scores), kernels.grid.name);

  select_cells(row, col, core, slot, of_slots);
  for (size_t i = 0; i < slot.size(); i++) {
    const size_t first = i / K * M;
    slot[i] = row_index[first + size_t(slot[i] / M)] * N + col_index[first + size_t(slot[i] % M)];
  }
  clean(run(kernels.rescore, shape, options, rows.at, columns.at, Operand(a, q_row).at(), Operand(b, q_col).at(),
            Operand(b, keys_row).at(), Operand(a, keys_col).at(), Operand(a, core).at(), got.at, got_scores.at),
        kernels.rescore.name);
  check(equal(got, slot) && equal(got_scores, of_slots), kernels.rescore.name);
}

static void pools(const simt::Kernel& kernel, const char* types, unsigned blocks) {
  constexpr int ROWS = 40, WIDTH = 48, SLOTS = 21, SLICES = 2, GROUPS = 3;
  const Values table = numbers(ROWS * WIDTH, 9), scores = numbers(T * SLOTS * SLICES, 9);
  const Indices slot = indices(T * SLOTS, -5, ROWS * GROUPS + 5);
  Values y(T * GROUPS * WIDTH, 0.0f);
  for (int i = 0; i < T * SLOTS; i++)
    for (int d = 0; d < WIDTH; d++) {
      const int s = std::clamp(slot[size_t(i)], 0, ROWS * GROUPS - 1);
      y[size_t((i / SLOTS * GROUPS + s / ROWS) * WIDTH + d)] +=
          scores[size_t(i * SLICES + d / (WIDTH / SLICES))] * table[size_t(s % ROWS * WIDTH + d)];
    }
  const Operand to(types[1], y.size());
  const Buffer<int> slots(slot, "slot");
  const Buffer<float> weights(scores, "scores");
  const Operand rows(types[0], table);
  clean(run(kernel, {{blocks, 1, 1}, {256, 1, 1}, 0}, options, rows.at(), slots.at, weights.at, to.at()), kernel.name);
  check(to.holds(y), kernel.name);
}

int main() {
  const Kernels all[] = {ALL(ff), ALL(fb), ALL(bf), ALL(bb)};
  for (const Kernels& kernels : all) {
    selects(kernels.one, {{1, 2, 3}, {256, 1, 1}, 0}, kernels.types, {3, 2, 77, 24, 5, false}, 1);
    selects(kernels.tile, {{2, 2, 2}, {256, 1, 1}, 18432}, kernels.types, {19, 2, 200, 20, 40, true}, 2);
    ranks(kernels);
    pools(kernels.pool, kernels.types, T);
    pools(kernels.pool_many, kernels.types, 1);
  }
  selects(KERNEL(mma16), {{2, 2, 1}, {256, 1, 1}, 29440}, "bb", {19, 2, 200, 24, 40, true}, 1);
  selects(KERNEL(mma32), {{1, 2, 2}, {256, 1, 1}, 43520}, "bb", {19, 2, 200, 20, 40, true}, 2);
  selects(KERNEL(mma64), {{2, 1, 1}, {256, 1, 1}, 145408}, "bb", {67, 1, 70, 199, 70, false}, 1);
  return failures != 0;
}
