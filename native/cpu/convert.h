// Element types that C++ lacks, and conversion between all of them.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ultramem {

struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};
// 4 bits of exponent, 3 of fraction; all ones are NaN, and nothing is infinite: up to 448, steps of 2^-9 below 2^-6.
struct F8 {
  uint8_t bits;
};

inline uint32_t float_bits(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}

inline float float_of_bits(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}

inline float to_float(float x) { return x; }
inline float to_float(int32_t x) { return static_cast<float>(x); }
inline float to_float(int64_t x) { return static_cast<float>(x); }
inline float to_float(int8_t x) { return static_cast<float>(x); }
inline float to_float(F8 x) {
  // Exponent and fraction in f32's places, the exponent's bias corrected; without an exponent one too many is taken off again.
  const uint32_t magnitude = x.bits & 0x7fu, moved = magnitude << 20;
  const float wide = magnitude < 8 ? float_of_bits(moved + 0x3c800000u) - 0x1p-6f : float_of_bits(moved + 0x3c000000u);
  return float_of_bits(float_bits(wide) | (magnitude == 0x7f ? 0x7fc00000u : 0u) | (x.bits & 0x80u) << 24);
}
inline float to_float(BF16 x) { return float_of_bits(static_cast<uint32_t>(x.bits) << 16); }
inline float to_float(F16 x) {
  // Exponent and mantissa moved into f32's places, then scaled by 2^112: right for subnormals too.
  const uint32_t magnitude = (x.bits & 0x7fffu) << 13;
  const float scaled = float_of_bits(magnitude) * 0x1p112f;
  const uint32_t special = magnitude >= (0x7c00u << 13) ? 0x7f800000u : 0u;
  return float_of_bits(float_bits(scaled) | special | (x.bits & 0x8000u) << 16);
}

inline BF16 to_bf16(float x) {
  const uint32_t u = float_bits(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = u >> 16 | 0x40u;
  return {static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
}

inline F16 to_f16(float x) {
  const uint32_t u = float_bits(x), magnitude = u & 0x7fffffffu;
  uint32_t bits;
  if (magnitude >= 0x47800000u) {  // 65536 and above, infinity, NaN
    bits = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 rounds at 2^-24
    bits = float_bits(float_of_bits(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    bits = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return {static_cast<uint16_t>(bits | (u >> 16 & 0x8000u))};
}

// To the nearest, ties to even; beyond the largest the largest.
inline F8 to_f8(float x) {
  const uint32_t u = float_bits(x), magnitude = u & 0x7fffffffu;
  uint32_t bits;
  if (magnitude > 0x7f800000u) {
    bits = 0x7f;
  } else if (magnitude < 0x3c800000u) {  // below 2^-6: adding 2^14 rounds at 2^-9
    bits = float_bits(float_of_bits(magnitude) + 0x1p14f) - 0x46800000u;
  } else {
    bits = (magnitude - 0x3c000000u + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20;
    bits = bits < 0x7e ? bits : 0x7e;
  }
  return {static_cast<uint8_t>(bits | (u >> 24 & 0x80u))};
}

template <class I>
inline I to_integer(float x) {
  // Both bounds are powers of two, so exact in f32; NaN fails both comparisons.
  constexpr float limit = sizeof(I) == 4 ? 0x1p31f : 0x1p63f;
  if (x >= limit) return std::is_same_v<I, int32_t> ? INT32_MAX : static_cast<I>(INT64_MAX);
  if (x <= -limit) return std::is_same_v<I, int32_t> ? INT32_MIN : static_cast<I>(INT64_MIN);
  return x == x ? static_cast<I>(x) : 0;
}

// float → F16, BF16, F8: nearest, ties to even. float → integers: towards zero, saturating, NaN → 0. i64 → i32: low bits.
template <class To, class From>
inline To convert(From x) {
  constexpr bool integers = std::is_integral_v<To> && std::is_integral_v<From>;
  if constexpr (std::is_same_v<To, From>) return x;
  else if constexpr (integers) return static_cast<To>(x);
  else if constexpr (std::is_same_v<To, float>) return to_float(x);
  else if constexpr (std::is_same_v<To, BF16>) return to_bf16(to_float(x));
  else if constexpr (std::is_same_v<To, F16>) return to_f16(to_float(x));
  else if constexpr (std::is_same_v<To, F8>) return to_f8(to_float(x));
  else return to_integer<To>(to_float(x));
}

}  // namespace ultramem
