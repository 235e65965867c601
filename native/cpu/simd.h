// Vectors of LANES floats, as wide as the instruction set allows: 16 (AVX-512), 8 (AVX2) or 4. Arithmetic and
// comparisons are the compiler's own operators on vector types; here are the few things those do not say.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ultramem {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

using Vec = float __attribute__((vector_size(LANES * 4)));
using IntVec = int32_t __attribute__((vector_size(LANES * 4)));  // also what a comparison of two Vec yields: 0 or -1

// The same, at any float's address.
using VecAt = float __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
using IntVecAt = int32_t __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

inline Vec load(const float* p) { return *reinterpret_cast<const VecAt*>(p); }
inline IntVec load(const int32_t* p) { return *reinterpret_cast<const IntVecAt*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<VecAt*>(p) = v; }
inline void store(int32_t* p, IntVec v) { *reinterpret_cast<IntVecAt*>(p) = v; }

inline Vec splat(float a) { return a - Vec{}; }
inline IntVec splat(int32_t a) { return a - IntVec{}; }

// 0, 1, 2, …
inline IntVec iota() {
  IntVec v;
  for (int i = 0; i < LANES; i++) v[i] = i;
  return v;
}

// The first n of LANES elements, 0 ≤ n ≤ LANES; memory past them is neither read nor written.
inline Vec load_first(const float* p, int n) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
#else
  Vec v{};
  for (int i = 0; i < LANES; i++)
    if (i < n) v[i] = p[i];
  return v;
#endif
}
inline void store_first(float* p, Vec v, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v);
#else
  for (int i = 0; i < LANES; i++)
    if (i < n) p[i] = v[i];
#endif
}

// a·b + c, one rounding where the target has it (-ffp-contract=fast).
inline Vec multiply_add(Vec a, Vec b, Vec c) { return a * b + c; }

// Keeps the compiler from folding v's load into each instruction that uses it.
inline void keep_in_register(Vec& v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#else
  (void)v;
#endif
}

// A NaN in `a` yields b's lane: with the running value as b, NaN is passed over.
inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec min(Vec a, Vec b) { return a < b ? a : b; }

// One bit per lane that is set (−1) in a comparison's result.
inline uint32_t bits(IntVec mask) {
#if defined(__AVX512F__)
  return _mm512_cmplt_epi32_mask(__m512i(mask), _mm512_setzero_si512());
#elif defined(__AVX2__)
  return uint32_t(_mm256_movemask_ps(__m256(mask)));
#elif defined(__SSE2__)
  return uint32_t(_mm_movemask_ps(__m128(mask)));
#else
  uint32_t b = 0;
  for (int i = 0; i < LANES; i++) b |= uint32_t(mask[i] & 1) << i;
  return b;
#endif
}

// bits(a > b) and bits(a >= b); false where either is NaN.
inline uint32_t greater(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
#else
  return bits(a > b);
#endif
}
inline uint32_t at_least(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
#else
  return bits(a >= b);
#endif
}

inline uint32_t greater(IntVec a, IntVec b) {
#if defined(__AVX512F__)
  return _mm512_cmpgt_epi32_mask(__m512i(a), __m512i(b));
#else
  return bits(a > b);
#endif
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// Of each set of lanes, their numbers, a byte each from the lowest.
struct LaneNumbers {
  uint64_t of[256];
  constexpr LaneNumbers() : of() {
    for (int lanes = 0; lanes < 256; lanes++)
      for (int lane = 7; lane >= 0; lane--)
        if (lanes >> lane & 1) of[lanes] = of[lanes] << 8 | uint64_t(lane);
  }
};
inline constexpr LaneNumbers kLaneNumbers;
#endif

// Packs the lanes whose bit is set to the front of `to`, in order, and returns how many. Writes LANES elements.
inline int compress(int32_t* to, IntVec v, uint32_t lanes) {
#if defined(__AVX512F__)
  // A register compress and a whole store: the compressing store is microcode on some processors.
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(__mmask16(lanes), __m512i(v)));
#elif defined(__AVX2__)
  const __m256i from = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(int64_t(kLaneNumbers.of[lanes])));
  store(to, IntVec(_mm256_permutevar8x32_epi32(__m256i(v), from)));
#else
  for (uint32_t rest = lanes; rest; rest &= rest - 1) *to++ = v[__builtin_ctz(rest)];
#endif
  return __builtin_popcount(lanes);
}
inline int compress(float* to, Vec v, uint32_t lanes) { return compress(reinterpret_cast<int32_t*>(to), IntVec(v), lanes); }

// Horizontal reductions, halves first: the order is fixed for a given LANES.
inline float sum(Vec v) {
  float half[LANES];
  store(half, v);
  for (int n = LANES / 2; n; n /= 2)
    for (int i = 0; i < n; i++) half[i] += half[i + n];
  return half[0];
}
inline float largest(Vec v) {
  float half[LANES];
  store(half, v);
  for (int n = LANES / 2; n; n /= 2)
    for (int i = 0; i < n; i++) half[i] = half[i + n] > half[i] ? half[i + n] : half[i];
  return half[0];
}

}  // namespace ultramem
