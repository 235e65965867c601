// Vectors of elements as they are stored: f32 as it is, bf16, bytes and f8 widened. Arithmetic is always f32.
#pragma once
#include "convert.h"
#include "simd.h"

namespace ultramem {

using HalfVecAt = uint16_t __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
using UintVec = uint32_t __attribute__((vector_size(LANES * 4)));

// Widening is said by instructions: compilers take the conversion of vectors apart; with a mask, as GCC 12 warns of its own
// intrinsic without.
inline Vec load(const BF16* p) {
#if defined(__AVX512F__)
  return Vec(IntVec(_mm512_maskz_cvtepu16_epi32(__mmask16(-1), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))) << 16);
#elif defined(__AVX2__)
  return Vec(IntVec(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))) << 16);
#else
  return Vec(__builtin_convertvector(*reinterpret_cast<const HalfVecAt*>(p), UintVec) << 16);
#endif
}

// LANES bytes as integers, with their sign or without.
inline IntVec widen(const int8_t* p) {
#if defined(__AVX512F__)
  return IntVec(_mm512_maskz_cvtepi8_epi32(__mmask16(-1), _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
  return IntVec(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#elif defined(__SSE2__)
  int32_t four;
  std::memcpy(&four, p, 4);
  const __m128i twice = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_cvtsi32_si128(four));
  return IntVec(_mm_srai_epi32(_mm_unpacklo_epi16(twice, twice), 24));
#else
  IntVec v;
  for (int i = 0; i < LANES; i++) v[i] = p[i];
  return v;
#endif
}
inline IntVec widen(const uint8_t* p) { return widen(reinterpret_cast<const int8_t*>(p)) & 0xff; }

inline Vec load(const int8_t* p) { return __builtin_convertvector(widen(p), Vec); }

// As to_float(F8), lane by lane.
inline Vec load(const F8* p) {
  const IntVec bits = widen(&p->bits);
  const IntVec magnitude = bits & 0x7f, moved = magnitude << 20;
  const Vec below = Vec(moved + 0x3c800000) - 0x1p-6f;
  const IntVec small = magnitude < 8, none = magnitude == 0x7f;
  const IntVec wide = (IntVec(below) & small) | ((moved + 0x3c000000) & ~small);
  return Vec((wide | (none & 0x7fc00000)) | (bits & 0x80) << 24);
}

template <class E>
inline Vec load_first(const E* p, int n) {
  Vec v{};
  for (int i = 0; i < LANES; i++)
    if (i < n) v[i] = to_float(p[i]);
  return v;
}

// Rows of a quantised table, and the factor of each.
template <class E>
struct ScaledRows {
  const E* elements;
  const float* scale;
};
template <class E>
ScaledRows(const E*, const float*) -> ScaledRows<E>;

// Element `at` of a table, rows of it without factors or with.
template <class E>
inline const E* element(const E* table, int64_t at) { return table + at; }
template <class E>
inline const E* element(const ScaledRows<E>& table, int64_t at) { return table.elements + at; }

// A weight of row `row`, times what the row is to be multiplied with.
template <class E>
inline float scaled(const E*, int64_t, float weight) { return weight; }
template <class E>
inline float scaled(const ScaledRows<E>& table, int64_t row, float weight) { return weight * table.scale[row]; }

template <class E>
inline void prefetch_scale(const E*, int64_t) {}
template <class E>
inline void prefetch_scale(const ScaledRows<E>& table, int64_t row) { __builtin_prefetch(table.scale + row, 0, 2); }

using PairsAt = int32_t __attribute__((vector_size(LANES * 4), aligned(2), may_alias));
inline IntVec load_pairs(const BF16* p) { return *reinterpret_cast<const PairsAt*>(p); }

// Of LANES pairs of bf16 side by side, the first and the second of each.
inline Vec first_of_pairs(IntVec pairs) { return Vec(UintVec(pairs) << 16); }
inline Vec second_of_pairs(IntVec pairs) { return Vec(UintVec(pairs) & 0xffff0000u); }

// Whether the processor multiplies pairs of bf16 by itself, twice as many a cycle as f32.
#if defined(__AVX512BF16__)
constexpr bool kMultipliesPairs = true;
#else
constexpr bool kMultipliesPairs = false;
#endif

// sum + a's first · b's first + a's second · b's second, lane by lane.
inline Vec multiply_add_pairs(IntVec a, IntVec b, Vec sum) {
#if defined(__AVX512BF16__)
  return _mm512_dpbf16_ps(sum, (__m512bh)(__m512i(a)), (__m512bh)(__m512i(b)));
#else
  return multiply_add(second_of_pairs(a), second_of_pairs(b), multiply_add(first_of_pairs(a), first_of_pairs(b), sum));
#endif
}

// N floats rounded to bf16.
template <int64_t N>
inline void round_row(const float* from, BF16* to) {
  constexpr int64_t whole = kMultipliesPairs ? N / LANES * LANES : 0;
#if defined(__AVX512BF16__)
  for (int64_t i = 0; i < whole; i += LANES) {
    const __m256bh rounded = _mm512_cvtneps_pbh(load(from + i));
    std::memcpy(to + i, &rounded, sizeof rounded);
  }
#endif
  if constexpr (whole < N)
    for (int64_t i = whole; i < N; i++) to[i] = to_bf16(from[i]);
}

}  // namespace ultramem
