// Exchanges between the lanes of a warp.
#pragma once

enum SimtWarpOp {
  simt_sync,
  simt_shfl,
  simt_shfl_up,
  simt_shfl_down,
  simt_shfl_xor,
  simt_ballot,
  simt_match_any,
  simt_match_all,
  simt_reduce_add,
  simt_reduce_min_s,
  simt_reduce_max_s,
  simt_reduce_min_u,
  simt_reduce_max_u,
  simt_reduce_and,
  simt_reduce_or,
  simt_reduce_xor,
};

template <class T>
SIMT_INLINE unsigned long long simt_bits(T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 2);
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(unsigned long long, value);
  else if constexpr (sizeof(T) == 4) return __builtin_bit_cast(unsigned, value);
  else return __builtin_bit_cast(unsigned short, value);
}
template <class T>
SIMT_INLINE T simt_value(unsigned long long bits) {
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(T, bits);
  else if constexpr (sizeof(T) == 4) return __builtin_bit_cast(T, unsigned(bits));
  else return __builtin_bit_cast(T, static_cast<unsigned short>(bits));
}

SIMT_INLINE void __syncwarp(unsigned mask = 0xffffffffu) { simt_warp(simt_sync, mask, 0, 0, 32); }
SIMT_INLINE unsigned __activemask() { return simt_active(); }

template <class T>
SIMT_INLINE T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return simt_value<T>(simt_warp(simt_shfl, mask, simt_bits(value), lane, width));
}
template <class T>
SIMT_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt_value<T>(simt_warp(simt_shfl_up, mask, simt_bits(value), int(delta), width));
}
template <class T>
SIMT_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt_value<T>(simt_warp(simt_shfl_down, mask, simt_bits(value), int(delta), width));
}
template <class T>
SIMT_INLINE T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return simt_value<T>(simt_warp(simt_shfl_xor, mask, simt_bits(value), lanes, width));
}

SIMT_INLINE unsigned __ballot_sync(unsigned mask, int predicate) {
  return unsigned(simt_warp(simt_ballot, mask, predicate != 0, 0, 32));
}
SIMT_INLINE int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
SIMT_INLINE int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

template <class T>
SIMT_INLINE unsigned __match_any_sync(unsigned mask, T value) {
  return unsigned(simt_warp(simt_match_any, mask, simt_bits(value), 0, 32));
}
template <class T>
SIMT_INLINE unsigned __match_all_sync(unsigned mask, T value, int* all) {
  const unsigned same = unsigned(simt_warp(simt_match_all, mask, simt_bits(value), 0, 32));
  *all = same != 0;
  return same;
}

#define SIMT_REDUCE(name, T, op)                                            \
  SIMT_INLINE T __reduce_##name##_sync(unsigned mask, T value) {            \
    return T(unsigned(simt_warp(op, mask, unsigned(value), 0, 32)));        \
  }
SIMT_REDUCE(add, int, simt_reduce_add)
SIMT_REDUCE(add, unsigned, simt_reduce_add)
SIMT_REDUCE(min, int, simt_reduce_min_s)
SIMT_REDUCE(min, unsigned, simt_reduce_min_u)
SIMT_REDUCE(max, int, simt_reduce_max_s)
SIMT_REDUCE(max, unsigned, simt_reduce_max_u)
SIMT_REDUCE(and, unsigned, simt_reduce_and)
SIMT_REDUCE(or, unsigned, simt_reduce_or)
SIMT_REDUCE(xor, unsigned, simt_reduce_xor)
#undef SIMT_REDUCE
