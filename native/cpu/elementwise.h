// Maps an inlined function over broadcast operands.
#pragma once
#include "extents.h"
#include "vector_math.h"

namespace ultramem {

// An operand: token stride ld (0: the same for all tokens) and constexpr strides per inner axis (0: broadcast).
template <class E, int64_t... Stride>
struct Operand {
  const E* data;
  int64_t ld;
  using Strides = Ints<Stride...>;
};

// Lanes i.. of an operand whose innermost stride is known; n of them when Whole is false.
template <int64_t Stride, bool Whole, class E>
inline auto operand_lanes(const E* data, int64_t i, int64_t n) {
  if constexpr (Stride == 0) {
    return splat(*data);
  } else if constexpr (Stride == 1 && Whole) {
    return load(data + i);
  } else {
    decltype(load(data)) v{};
    for (int64_t l = 0; l < (Whole ? LANES : n); l++) v[l] = data[(i + l) * Stride];
    return v;
  }
}

// y [T, Dims…] (inner axes contiguous, token stride ldy) = f(operands…). f is generic and sees vectors; its body may
// use the names of namespace fn without prefix, as the text of an elementwise expression does:
//   map<Ints<4, 8>>(pool, T, y, ldy, [](auto a, auto b) { using namespace fn; return mul(silu(b), a); },
//                   Operand<float, 8, 1>{a, lda}, Operand<float, 0, 1>{b, 0});
// (written inside namespace ultramem). Operands and y are all float or all int32_t. y may be an operand with the same
// strides. Without inner axes use Ints<1> and strides 0; without T use T = 1 and any ld.
template <class Dims, class E, class F, class... Operands>
void map(Pool& pool, int64_t T, E* y, int64_t ldy, const F& f, const Operands&... operands) {
  using N = Nest<Dims, RowMajor<Dims>, typename Operands::Strides...>;
  const int64_t ld[] = {ldy, operands.ld...};
  parallel_nest<N>(pool, T, ld, [&](const int64_t* offset, int64_t begin, int64_t end) {
    E* to = y + offset[0];
    [&]<size_t... O>(std::index_sequence<O...>) {
      int64_t i = begin;
      for (; i + LANES <= end; i += LANES)
        store(to + i, f(operand_lanes<N::inner_stride(O + 1), true>(operands.data + offset[O + 1], i, LANES)...));
      if (i < end) {
        const auto v = f(operand_lanes<N::inner_stride(O + 1), false>(operands.data + offset[O + 1], i, end - i)...);
        for (int64_t l = 0; l < end - i; l++) to[i + l] = v[l];
      }
    }(std::make_index_sequence<sizeof...(Operands)>{});
  });
}

}  // namespace ultramem
