// Elements as bytes with a factor for each row: value = element · factor. The rules are those of src/runtime/quantise.ts, byte for
// byte. Sources may be unaligned.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../cpu/convert.h"
#include "model.h"
#include "stored_elements.h"

namespace ultramem::addon {

constexpr bool is_quantised(DType dtype) { return dtype == DType::i8 || dtype == DType::f8; }

// Factors of elements in blocks of shared × inner: element (block, k, i) has factor (block, i).
struct Factors {
  const char* at = nullptr;
  int64_t shared = 1, inner = 1;
};

template <class Q, class Declared>
void dequantise_elements(const char* from, const Factors& by, void* to, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; block++)
    for (int64_t k = 0; k < by.shared; k++)
      for (int64_t i = 0; i < by.inner; i++) {
        const int64_t e = (block * by.shared + k) * by.inner + i;
        const float value = to_float(read_element<Q>(from, e)) * read_element<float>(by.at, block * by.inner + i);
        static_cast<Declared*>(to)[e] = convert<Declared>(value);
      }
}

// Blocks [begin, end) of i8 or f8 into the same places of f32 or bf16.
inline void dequantise(DType stored, const char* from, const Factors& by, DType declared, void* to, int64_t begin, int64_t end) {
  const bool narrow = declared == DType::bf16;
  if (stored == DType::i8) (narrow ? dequantise_elements<int8_t, BF16> : dequantise_elements<int8_t, float>)(from, by, to, begin, end);
  else (narrow ? dequantise_elements<F8, BF16> : dequantise_elements<F8, float>)(from, by, to, begin, end);
}

// x, at most 127 or 448 in magnitude but for rounding, to the nearest element, ties to even.
inline void round_to(float x, F8& y) { y = to_f8(x); }
inline void round_to(float x, int8_t& y) {
  constexpr float whole = 0x1.8p23f;  // sums with it have no fraction
  const float rounded = (x + whole) - whole;
  y = static_cast<int8_t>(rounded > 127 ? 127.f : rounded < -127 ? -127.f : rounded);
}

template <class Stored, class Q>
int64_t quantise_elements(const char* from, int64_t width, void* to, float* factors, int64_t begin, int64_t end) {
  constexpr float largest = std::is_same_v<Q, F8> ? 448.f : 127.f;
  for (int64_t row = begin; row < end; row++) {
    float most = 0;
    for (int64_t d = 0; d < width; d++) {
      const float magnitude = std::fabs(to_float(read_element<Stored>(from, row * width + d)));
      if (!(magnitude <= std::numeric_limits<float>::max())) return row;
      most = magnitude > most ? magnitude : most;
    }
    const float factor = factors[row] = most / largest;
    for (int64_t d = 0; d < width; d++) {
      const float x = to_float(read_element<Stored>(from, row * width + d));
      round_to(factor > 0 ? x / factor : 0.f, static_cast<Q*>(to)[row * width + d]);
    }
  }
  return -1;
}

// Rows [begin, end) of floats into the same rows of i8 or f8, and their factors. Returns the first row that is not finite, or -1.
inline int64_t quantise(DType stored, const char* from, int64_t width, DType declared, void* to, float* factors, int64_t begin,
                        int64_t end) {
  const bool bytes = declared == DType::i8;
  switch (stored) {
    case DType::f32:
      return (bytes ? quantise_elements<float, int8_t> : quantise_elements<float, F8>)(from, width, to, factors, begin, end);
    case DType::f16:
      return (bytes ? quantise_elements<F16, int8_t> : quantise_elements<F16, F8>)(from, width, to, factors, begin, end);
    default:
      return (bytes ? quantise_elements<BF16, int8_t> : quantise_elements<BF16, F8>)(from, width, to, factors, begin, end);
  }
}

// First factor that is no finite number from 0, or -1.
inline int64_t first_bad_factor(const char* factors, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float factor = read_element<float>(factors, i);
    if (!(factor >= 0 && factor <= std::numeric_limits<float>::max())) return i;
  }
  return -1;
}

}  // namespace ultramem::addon
