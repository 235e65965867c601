// Keys and queries rounded to bytes, each row by a scale of its own, and the products of both: scores that are a little off, by a bound
// that is known, from a quarter of the bytes. For the first pass of score_topk.h.
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

// A panel of 64 keys: [words][64] of four bytes, then 64 offsets, then 64 scales as f32.
constexpr int64_t byte_panel_words(int64_t D) { return (byte_words(D) + 2) * PANEL; }

// int32 elements of H·N keys as pack_keys leaves them.
constexpr size_t byte_keys_words(int64_t H, int64_t N, int64_t D) { return size_t(H * ((N + PANEL - 1) / PANEL) * byte_panel_words(D)); }

// Sizes of values below this vanish when divided: such rows become zeros, and all of them is what rounding took.
constexpr float kLeastSize = 1e-30f;

// What is no number stays: then no bound leaves anything out.
inline double greater_or_nan(double a, double b) { return a != a || b <= a ? a : b; }

// keys (H, N, D) → packed, and bounds (H, 2): the largest norm of a head's keys, and the largest norm of what rounding took from one.
template <int64_t H, int64_t N, int64_t D, class E>
void pack_keys(Pool& pool, const E* keys, int32_t* packed, float* bounds) {
  constexpr int64_t PANELS = (N + PANEL - 1) / PANEL, WORDS = byte_words(D);
  double norms[H][PANELS], losses[H][PANELS];
  pool.parallel(H * PANELS, [&](int64_t piece, int) {
    const int64_t h = piece / PANELS, p = piece % PANELS;
    int32_t* const panel = packed + piece * byte_panel_words(D);
    int8_t* const bytes = reinterpret_cast<int8_t*>(panel);
    std::memset(panel, 0, size_t(byte_panel_words(D)) * 4);
    double norm = 0, lost = 0;
    for (int64_t c = 0; c < PANEL && p * PANEL + c < N; c++) {
      const E* const key = keys + (h * N + p * PANEL + c) * D;
      float largest = 0;
      for (int64_t d = 0; d < D; d++) largest = float(greater_or_nan(largest, std::fabs(to_float(key[d]))));
      const float scale = largest >= kLeastSize && largest < INFINITY ? largest / 127 : 0;
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
      panel[WORDS * PANEL + c] = kMultipliesBytes ? 128 * total : 0;
      std::memcpy(panel + (WORDS + 1) * PANEL + c, &scale, 4);
      norm = greater_or_nan(norm, squares);
      lost = greater_or_nan(lost, differences);
    }
    norms[h][p] = norm, losses[h][p] = lost;
  });
  for (int64_t h = 0; h < H; h++) {
    double norm = 0, lost = 0;
    for (int64_t p = 0; p < PANELS; p++) norm = greater_or_nan(norm, norms[h][p]), lost = greater_or_nan(lost, losses[h][p]);
    // Up, so that rounding to f32 takes nothing from a bound.
    bounds[2 * h] = float(std::sqrt(norm) * 1.000001);
    bounds[2 * h + 1] = float(std::sqrt(lost) * 1.000001);
  }
}

// A query as its products want it: words of four bytes, or of two pairs of 16 bits, elements 0 and 2, and 1 and 3.
template <int64_t D>
constexpr int64_t query_words = byte_words(D) * (kMultipliesBytes ? 1 : 2);

// q [D] → words, and its scale. Returns the norm of q and of what rounding took from it; not finite where q is not.
struct RoundedQuery {
  float scale, norm, lost;
};
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
  return {scale, std::sqrt(sum(squares)), std::sqrt(sum(differences))};
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

// scores (T, lds) of T queries (words, and a scale each) against panels [0, panels) of keys.
template <int64_t D>
inline void score_panels(int64_t T, const int32_t* words, const float* scales, const int32_t* packed, int64_t panels, float* scores, int64_t lds) {
  constexpr int64_t WORDS = byte_words(D), STRIDE = query_words<D> / WORDS;
  for (int64_t p = 0; p < panels; p++) {
    const int32_t* const panel = packed + p * byte_panel_words(D);
    const float* const key_scales = reinterpret_cast<const float*>(panel + (WORDS + 1) * PANEL);
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
          const IntVec offset = load(panel + WORDS * PANEL + n + c * LANES);
          const Vec scale = load(key_scales + n + c * LANES);
          for (int r = 0; r < ROWS; r++)
            store(scores + (t + r) * lds + p * PANEL + n + c * LANES, __builtin_convertvector(sums[r][c] - offset, Vec) * scale * splat(scales[t + r]));
        }
      }
    });
  }
}

}  // namespace ultramem
