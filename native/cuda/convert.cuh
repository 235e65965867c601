// Element types that device code lacks without headers, and conversion between all of them, as on the CPU.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

struct F16 {
  unsigned short bits;
};
struct BF16 {
  unsigned short bits;
};
// 4 bits of exponent, 3 of fraction; all ones are NaN, and nothing is infinite: up to 448, steps of 2^-9 below 2^-6.
struct F8 {
  unsigned char bits;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(int x) { return float(x); }
__device__ inline float to_float(long long x) { return float(x); }
__device__ inline float to_float(signed char x) { return float(x); }
__device__ inline float to_float(F8 x) {
  // Exponent and fraction in f32's places, the exponent's bias corrected; without an exponent one too many is taken off again.
  const unsigned magnitude = x.bits & 0x7fu, moved = magnitude << 20;
  const float below = __uint_as_float(moved + 0x3c800000u) - __uint_as_float(0x3c800000u);
  const unsigned wide = magnitude < 8 ? __float_as_uint(below) : moved + 0x3c000000u;
  return __uint_as_float((magnitude == 0x7f ? 0x7fc00000u : wide) | (x.bits & 0x80u) << 24);
}
__device__ inline float to_float(BF16 x) { return __uint_as_float(unsigned(x.bits) << 16); }
__device__ inline float to_float(F16 x) {
  // Exponent and mantissa moved into f32's places, then scaled by 2^112: right for subnormals too.
  const unsigned magnitude = (x.bits & 0x7fffu) << 13;
  const float scaled = __uint_as_float(magnitude) * __uint_as_float(0x77800000u);
  const unsigned special = magnitude >= (0x7c00u << 13) ? 0x7f800000u : 0u;
  return __uint_as_float(__float_as_uint(scaled) | special | (x.bits & 0x8000u) << 16);
}

// To the nearest, ties to even; towards zero, saturating and NaN as 0 for integers.
__device__ inline void from_float(float x, float& y) { y = x; }
__device__ inline void from_float(float x, BF16& y) {
  const unsigned u = __float_as_uint(x);
  const unsigned rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  y.bits = (unsigned short)((u & 0x7fffffffu) > 0x7f800000u ? u >> 16 | 0x40u : rounded);
}
__device__ inline void from_float(float x, F16& y) {
  const unsigned u = __float_as_uint(x), magnitude = u & 0x7fffffffu;
  unsigned bits;
  if (magnitude >= 0x47800000u) {  // 65536 and above, infinity, NaN
    bits = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 rounds at 2^-24
    bits = __float_as_uint(__uint_as_float(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    bits = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  y.bits = (unsigned short)(bits | (u >> 16 & 0x8000u));
}
__device__ inline void from_float(float x, int& y) {
  y = x >= 2147483648.0f ? 2147483647 : x <= -2147483648.0f ? -2147483647 - 1 : x == x ? int(x) : 0;
}
__device__ inline void from_float(float x, long long& y) {
  constexpr long long most = 0x7fffffffffffffffll;
  y = x >= 9223372036854775808.0f ? most : x <= -9223372036854775808.0f ? -most - 1 : x == x ? (long long)(x) : 0;
}

template <class Y>
struct Convert {
  template <class X>
  static __device__ Y from(X x) {
    Y y;
    from_float(to_float(x), y);
    return y;
  }
  static __device__ Y from(Y x) { return x; }
};
// Between integers no float comes in; the low bits stay.
template <>
template <>
__device__ inline int Convert<int>::from(long long x) {
  return int((unsigned)(x));
}
template <>
template <>
__device__ inline long long Convert<long long>::from(int x) {
  return x;
}

}  // namespace ultramem::cuda
