// Compile-time sizes and strides, and how loops over rows are cut into pieces. Cuts depend on shapes alone, never on
// the number of threads, so results have the same bits for any pool.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#include "pool.h"

namespace ultramem {

// A list of sizes or strides, outermost first.
template <int64_t... V>
struct Ints {
  static constexpr int rank = sizeof...(V);
  static constexpr int64_t value[sizeof...(V) + 1] = {V..., 0};
  static constexpr int64_t product() {
    int64_t p = 1;
    for (int i = 0; i < rank; i++) p *= value[i];
    return p;
  }
};

// Strides of a contiguous tensor of Dims.
template <class Dims, class = std::make_index_sequence<Dims::rank>>
struct RowMajorOf;
template <class Dims, size_t... I>
struct RowMajorOf<Dims, std::index_sequence<I...>> {
  static constexpr int64_t stride(size_t axis) {
    int64_t p = 1;
    for (size_t i = axis + 1; i < Dims::rank; i++) p *= Dims::value[i];
    return p;
  }
  using type = Ints<stride(I)...>;
};
template <class Dims>
using RowMajor = typename RowMajorOf<Dims>::type;

// What a piece should cost at least, in floats touched: some microseconds, well above the cost of handing it out.
constexpr int64_t kPieceCost = 16384;

// Rows of one piece when a row costs `cost` (about: floats touched); at least one.
constexpr int64_t rows_per_piece(int64_t cost, int64_t piece_cost = kPieceCost) {
  return cost >= piece_cost ? 1 : piece_cost / (cost > 0 ? cost : 1);
}

// body(begin, end, worker) over [0, rows) in pieces of `block` rows.
template <class Body>
inline void parallel_rows(Pool& pool, int64_t rows, int64_t block, const Body& body) {
  const int64_t pieces = (rows + block - 1) / block;
  if (pieces <= 0) return;
  pool.parallel(pieces, [&](int64_t piece, int worker) {
    const int64_t begin = piece * block;
    const int64_t end = begin + block < rows ? begin + block : rows;
    body(begin, end, worker);
  });
}

constexpr int kMaxLoops = 8;

// Loops over Dims for several operands with Strides…: axes of size 1 dropped, axes merged where all operands allow it,
// so that the innermost loop is as long as can be.
template <class Dims, class... Strides>
struct Nest {
  static constexpr int operands = sizeof...(Strides);
  struct Loops {
    int rank = 0;
    int64_t dim[kMaxLoops] = {};
    int64_t stride[operands][kMaxLoops] = {};
  };
  static constexpr Loops merge() {
    static_assert(Dims::rank <= kMaxLoops && ((Strides::rank == Dims::rank) && ...), "one stride per axis");
    const int64_t* strides[] = {Strides::value...};
    Loops l;
    for (int i = 0; i < Dims::rank; i++) {
      const int64_t n = Dims::value[i];
      if (n == 1) continue;
      bool joins = l.rank > 0;
      for (int o = 0; o < operands && joins; o++) joins = l.stride[o][l.rank - 1] == strides[o][i] * n;
      if (joins) {
        l.dim[l.rank - 1] *= n;
      } else {
        l.dim[l.rank++] = n;
      }
      for (int o = 0; o < operands; o++) l.stride[o][l.rank - 1] = strides[o][i];
    }
    if (l.rank == 0) l.dim[l.rank++] = 1;
    return l;
  }
  static constexpr Loops loops = merge();
  static constexpr int outer_rank = loops.rank - 1;
  static constexpr int64_t inner = loops.dim[outer_rank];
  static constexpr int64_t inner_stride(int o) { return loops.stride[o][outer_rank]; }
  static constexpr int64_t outer = [] {
    int64_t p = 1;
    for (int i = 0; i < outer_rank; i++) p *= loops.dim[i];
    return p;
  }();
};

// Where the operands of a Nest stand at one (token, outer index).
template <class N>
struct Walk {
  int64_t token;
  int64_t index[kMaxLoops];
  int64_t offset[N::operands];
  const int64_t* ld;  // token strides of the operands

  Walk(int64_t row, const int64_t* token_strides) : ld(token_strides) {
    token = row / N::outer;
    int64_t rest = row % N::outer;
    for (int o = 0; o < N::operands; o++) offset[o] = token * ld[o];
    for (int i = N::outer_rank - 1; i >= 0; i--) {
      index[i] = rest % N::loops.dim[i];
      rest /= N::loops.dim[i];
      for (int o = 0; o < N::operands; o++) offset[o] += index[i] * N::loops.stride[o][i];
    }
  }

  void next() {
    for (int i = N::outer_rank - 1; i >= 0; i--) {
      for (int o = 0; o < N::operands; o++) offset[o] += N::loops.stride[o][i];
      if (++index[i] < N::loops.dim[i]) return;
      index[i] = 0;
      for (int o = 0; o < N::operands; o++) offset[o] -= N::loops.dim[i] * N::loops.stride[o][i];
    }
    token++;
    for (int o = 0; o < N::operands; o++) offset[o] += ld[o];
  }
};

// body(offsets, begin, end): the part [begin, end) of the innermost loop whose index 0 stands at offsets[operand].
template <class N, class Body>
inline void parallel_nest(Pool& pool, int64_t T, const int64_t* ld, const Body& body) {
  if constexpr (N::inner > 2 * kPieceCost) {
    constexpr int64_t chunks = (N::inner + kPieceCost - 1) / kPieceCost;
    if (T <= 0) return;
    pool.parallel(T * N::outer * chunks, [&](int64_t piece, int) {
      const Walk<N> at(piece / chunks, ld);
      const int64_t begin = piece % chunks * kPieceCost;
      body(at.offset, begin, begin + kPieceCost < N::inner ? begin + kPieceCost : N::inner);
    });
  } else {
    parallel_rows(pool, T * N::outer, rows_per_piece(N::inner), [&](int64_t begin, int64_t end, int) {
      Walk<N> at(begin, ld);
      for (int64_t row = begin; row < end; row++, at.next()) body(at.offset, 0, N::inner);
    });
  }
}

}  // namespace ultramem
