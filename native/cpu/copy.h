// Strided copy with dtype conversion: transpose, slice, pieces of a concat, broadcast, cast.
#pragma once
#include "convert.h"
#include "extents.h"

namespace ultramem {

// y[t*ldy + Σ e·YStrides] = convert<To>(x[t*ldx + Σ e·XStrides]) for e over Dims. From and To are float, F16, BF16,
// int32_t or int64_t. x and y do not overlap.
template <class Dims, class XStrides, class YStrides, class From, class To>
void copy(Pool& pool, int64_t T, const From* x, int64_t ldx, To* y, int64_t ldy) {
  using N = Nest<Dims, XStrides, YStrides>;
  constexpr int64_t sx = N::inner_stride(0), sy = N::inner_stride(1);
  const int64_t ld[] = {ldx, ldy};
  parallel_nest<N>(pool, T, ld, [&](const int64_t* offset, int64_t begin, int64_t end) {
    const From* __restrict from = x + offset[0];
    To* __restrict to = y + offset[1];
    for (int64_t i = begin; i < end; i++) to[i * sy] = convert<To>(from[i * sx]);
  });
}

}  // namespace ultramem
