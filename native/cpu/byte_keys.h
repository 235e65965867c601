// Keys and queries rounded to bytes, each row by a scale of its own, and what their products are at most, from a quarter of the bytes.
// For the first pass of score_topk.h.
//
// With x~ the rounding of x, q·k ≤ q~·k~ + |q·(k − k~)| + |(q − q~)·k~| ≤ q~·k~ + ‖q‖·‖k − k~‖ + ‖q − q~‖·‖k~‖. Products of
// bytes are summed without an error, and the rest is a handful of roundings; a sum of D products in f32, in any order, is off by at
// most D·2⁻²⁴·‖q‖·‖k‖. More than four times that is counted.
#pragma once
#include <cmath>

#include "linear.h"
#include "vector_math.h"

namespace ultramem {

// Whether the processor multiplies and adds four bytes a lane by itself. It wants one side unsigned: queries are shifted by 128, and
// what that adds to a product, 128 times the sum of a key's bytes, is taken away again.
#if defined(__AVX512VNNI__) || (defined(__AVXVNNI__) && !defined(__AVX512F__))
constexpr bool kMultipliesBytes = true;
#else
constexpr bool kMultipliesBytes = false;
#endif

// Words of four bytes that D take.
constexpr int64_t byte_words(int64_t D) { return (D + 3) / 4; }

// A panel of 64 keys: [words][64] of four bytes, then of each key an offset, and as f32 its scale, the norm of what rounding took from it,
// and its norm with that.
constexpr int64_t byte_panel_words(int64_t D) { return (byte_words(D) + 4) * PANEL; }

// int32 elements of H·N keys as pack_keys leaves them.
constexpr size_t byte_keys_words(int64_t H, int64_t N, int64_t D) { return size_t(H * ((N + PANEL - 1) / PANEL) * byte_panel_words(D)); }

// Values below this size vanish when divided: such rows become zeros, and all of them is what rounding took.
constexpr float kLeastSize = 1e-30f;

// keys (H, N, D) → packed. A key with something that is no number has norms without end.
template <int64_t H, int64_t N, int64_t D, class E>
void pack_keys(Pool& pool, const E* keys, int32_t* packed) {
  constexpr int64_t PANELS = (N + PANEL - 1) / PANEL, WORDS = byte_words(D);
  pool.parallel(H * PANELS, [&](int64_t piece, int) {
    const int64_t h = piece / PANELS, p = piece % PANELS;
    int32_t* const panel = packed + piece * byte_panel_words(D);
    int8_t* const bytes = reinterpret_cast<int8_t*>(panel);
    float* const floats = reinterpret_cast<float*>(panel + (WORDS + 1) * PANEL);
    std::memset(panel, 0, size_t(byte_panel_words(D)) * 4);
    for (int64_t c = 0; c < PANEL && p * PANEL + c < N; c++) {
      const E* const key = keys + (h * N + p * PANEL + c) * D;
      float largest = 0;
      bool finite = true;
      for (int64_t d = 0; d < D; d++) {
        largest = std::fmax(largest, std::fabs(to_float(key[d])));
        finite &= std::isfinite(to_float(key[d]));
      }
      const float scale = finite && largest >= kLeastSize ? largest / 127 : 0;
      double squares = 0, differences = 0;
      int32_t total = 0;
      for (int64_t d = 0; d < D; d++) {
        const double exact = to_float(key[d]);
        const int32_t rounded = scale > 0 ? int32_t(std::fmin(std::fmax(std::rint(exact / scale), -127), 127)) : 0;
        const double rest = exact - double(scale) * rounded;
        bytes[(d / 4 * PANEL + c) * 4 + d % 4] = int8_t(rounded);
        total += rounded;
        squares += exact * exact;
        differences += rest * rest;
      }
      // Up, so that rounding to f32 takes nothing from a bound.
      const double lost = std::sqrt(differences) * 1.000001, norm = std::sqrt(squares) * 1.000001 + lost;
      panel[WORDS * PANEL + c] = kMultipliesBytes ? 128 * total : 0;
      floats[c] = scale;
      floats[PANEL + c] = finite ? float(lost) : INFINITY;
      floats[2 * PANEL + c] = finite ? float(norm) : INFINITY;
    }
  });
}

// A query as its products want it: words of four bytes, or of two pairs of 16 bits, elements 0 and 2, and 1 and 3.
template <int64_t D>
constexpr int64_t query_words = byte_words(D) * (kMultipliesBytes ? 1 : 2);

// What upper bounds of a query's products are made of, besides its words: scale·(scale of a key)·(product of bytes) + by_lost·(what a key
// lost) + by_norm·(its norm with that).
struct RoundedQuery {
  float scale, by_lost, by_norm;
};

// q [D] → words.
template <int64_t D>
inline RoundedQuery round_query(const float* q, int32_t* words) {
  constexpr int64_t WORDS = byte_words(D), PADDED = int64_t(round_up(size_t(D), LANES));
  alignas(64) float values[PADDED] = {};
  alignas(64) int32_t rounded[int64_t(round_up(size_t(PADDED), 4))] = {};
  std::memcpy(values, q, D * sizeof(float));
  Vec largest{}, squares{}, differences{};
  for (int64_t d = 0; d < PADDED; d += LANES) {
    const Vec v = load(values + d);
    largest = max(magnitude(v), largest);
    squares = multiply_add(v, v, squares);
  }
  float size = 0;
  for (int i = 0; i < LANES; i++) size = largest[i] > size ? largest[i] : size;
  const float scale = size >= kLeastSize && size < INFINITY ? size / 127 : 0;
  const Vec by = splat(scale > 0 ? 1 / scale : 0), back = splat(scale);
  for (int64_t d = 0; d < PADDED; d += LANES) {
    const Vec v = load(values + d);
    // To the nearest: adding 1.5·2^23 leaves the integer in the low bits. Of what is no number any byte is as good.
    Vec scaled = v * by;
    scaled = scaled > 127.f ? splat(127.f) : scaled < -127.f ? splat(-127.f) : scaled == scaled ? scaled : Vec{};
    const Vec shifted = scaled + 12582912.f, whole = shifted - 12582912.f;
    store(rounded + d, as_int(shifted) - 0x4b400000);
    const Vec rest = multiply_add(-back, whole, v);
    differences = multiply_add(rest, rest, differences);
  }
  for (int64_t w = 0; w < WORDS; w++) {
    uint32_t r[4];
    for (int64_t i = 0; i < 4; i++) r[i] = 4 * w + i < D ? uint32_t(rounded[4 * w + i]) : 0;
    if constexpr (kMultipliesBytes) {
      words[w] = int32_t((r[0] + 128) | (r[1] + 128) << 8 | (r[2] + 128) << 16 | (r[3] + 128) << 24);
    } else {
      words[2 * w] = int32_t((r[0] & 0xffff) | r[2] << 16);
      words[2 * w + 1] = int32_t((r[1] & 0xffff) | r[3] << 16);
    }
  }
  const float norm = std::sqrt(sum(squares)), lost = std::sqrt(sum(differences));
  // So large that something may overflow: nothing is known.
  if (!(norm < 1e18f)) return {0, INFINITY, INFINITY};
  return {scale, norm * 1.001f, (lost + float(D + 8) * 0x1p-22f * norm) * 1.001f};
}

// sum + the four products of each lane's bytes of keys and a query's word.
inline IntVec add_byte_products(IntVec sum, const int32_t* word, IntVec keys) {
#if defined(__AVX512VNNI__)
  return IntVec(_mm512_dpbusd_epi32(__m512i(sum), __m512i(splat(*word)), __m512i(keys)));
#elif defined(__AVXVNNI__) && !defined(__AVX512F__)
  return IntVec(_mm256_dpbusd_avx_epi32(__m256i(sum), __m256i(splat(*word)), __m256i(keys)));
#else
  using ShortVec = int16_t __attribute__((vector_size(LANES * 4)));
  const ShortVec odd = ShortVec(keys) >> 8, even = ShortVec(ShortVec(keys) << 8) >> 8;
#if defined(__AVX512BW__)
  return sum + IntVec(_mm512_madd_epi16(__m512i(even), __m512i(splat(word[0])))) + IntVec(_mm512_madd_epi16(__m512i(odd), __m512i(splat(word[1]))));
#elif defined(__AVX2__) && !defined(__AVX512F__)
  return sum + IntVec(_mm256_madd_epi16(__m256i(even), __m256i(splat(word[0])))) + IntVec(_mm256_madd_epi16(__m256i(odd), __m256i(splat(word[1]))));
#elif defined(__SSE2__) && !defined(__AVX2__)
  return sum + IntVec(_mm_madd_epi16(__m128i(even), __m128i(splat(word[0])))) + IntVec(_mm_madd_epi16(__m128i(odd), __m128i(splat(word[1]))));
#else
  for (int i = 0; i < LANES; i++)
    sum[i] += even[2 * i] * int16_t(word[0]) + even[2 * i + 1] * (word[0] >> 16) + odd[2 * i] * int16_t(word[1]) + odd[2 * i + 1] * (word[1] >> 16);
  return sum;
#endif
#endif
}

// What products of T queries (words, and the rest of each) with the keys of panels [0, panels) are at most: upper (T, lds). None is NaN.
template <int64_t D>
inline void bound_panels(int64_t T, const int32_t* words, const RoundedQuery* queries, const int32_t* packed, int64_t panels, float* upper, int64_t lds) {
  constexpr int64_t WORDS = byte_words(D), STRIDE = query_words<D> / WORDS;
  for (int64_t p = 0; p < panels; p++) {
    const int32_t* const panel = packed + p * byte_panel_words(D);
    const float* const floats = reinterpret_cast<const float*>(panel + (WORDS + 1) * PANEL);
    for_tiles(T, [&]<int ROWS>(int64_t t) {
      constexpr int VECTORS = tile_vectors(ROWS), WIDTH = VECTORS * LANES;
      for (int64_t n = 0; n < PANEL; n += WIDTH) {
        IntVec sums[ROWS][VECTORS] = {};
        const int32_t* row[ROWS];
        for (int r = 0; r < ROWS; r++) row[r] = words + (t + r) * query_words<D>;
        for (int64_t w = 0; w < WORDS; w++) {
          IntVec column[VECTORS];
#pragma GCC unroll 16
          for (int c = 0; c < VECTORS; c++) column[c] = load(panel + w * PANEL + n + c * LANES);
#pragma GCC unroll 16
          for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 16
            for (int c = 0; c < VECTORS; c++) sums[r][c] = add_byte_products(sums[r][c], row[r] + w * STRIDE, column[c]);
        }
        for (int c = 0; c < VECTORS; c++) {
          const int64_t at = n + c * LANES;
          const IntVec offset = load(panel + WORDS * PANEL + at);
          const Vec scale = load(floats + at), lost = load(floats + PANEL + at), norm = load(floats + 2 * PANEL + at);
          for (int r = 0; r < ROWS; r++) {
            const RoundedQuery& q = queries[t + r];
            // Products so small that they vanish are no part of the bound: 1e-30 is more than all of them.
            const Vec nominal = multiply_add(__builtin_convertvector(sums[r][c] - offset, Vec), scale * splat(q.scale), splat(1e-30f));
            const Vec bound = multiply_add(splat(q.by_lost), lost, multiply_add(splat(q.by_norm), norm, nominal));
            store(upper + (t + r) * lds + p * PANEL + at, bound == bound ? bound : splat(INFINITY));
          }
        }
      }
    });
  }
}

}  // namespace ultramem
