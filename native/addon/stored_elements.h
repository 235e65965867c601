// Elements as stored in a weight file → elements as declared by the model. Every value is kept exactly, but for floats into
// bf16, which round to nearest even; the pairs are those that src/runtime/convert.ts allows. Sources may be unaligned.
#pragma once
#include <cstdint>
#include <cstring>

#include "../cpu/convert.h"
#include "fault.h"
#include "model.h"

namespace ultramem::addon {

template <class V>
V read_element(const char* from, int64_t i) {
  V value;
  std::memcpy(&value, from + i * int64_t(sizeof(V)), sizeof(V));
  return value;
}

template <class Stored, class Declared>
void convert_elements(const char* from, void* to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) static_cast<Declared*>(to)[i] = convert<Declared>(read_element<Stored>(from, i));
}

inline bool convertible(DType stored, DType declared) {
  const bool to_f32 = declared == DType::f32 && (stored == DType::bf16 || stored == DType::f16);
  const bool integers = (declared == DType::i32 && stored == DType::i64) || (declared == DType::i64 && stored == DType::i32);
  const bool to_bf16 = declared == DType::bf16 && (stored == DType::f32 || stored == DType::f16);
  return stored == declared || to_f32 || to_bf16 || integers;
}

// Elements [begin, end) of `from` into the same places of `to`; the pair must be convertible.
// Returns the first element that does not fit its new type, or -1.
inline int64_t convert_stored(DType stored, const char* from, DType declared, void* to, int64_t begin, int64_t end) {
  if (stored == declared) {
    const int64_t size = int64_t(dtype_bytes(stored));
    std::memcpy(static_cast<char*>(to) + begin * size, from + begin * size, size_t((end - begin) * size));
  } else if (declared == DType::bf16) {
    if (stored == DType::f32) convert_elements<float, BF16>(from, to, begin, end);
    else convert_elements<F16, BF16>(from, to, begin, end);
  } else if (stored == DType::bf16) {
    convert_elements<BF16, float>(from, to, begin, end);
  } else if (stored == DType::f16) {
    convert_elements<F16, float>(from, to, begin, end);
  } else if (stored == DType::i32) {
    convert_elements<int32_t, int64_t>(from, to, begin, end);
  } else {
    for (int64_t i = begin; i < end; i++) {
      const int64_t value = read_element<int64_t>(from, i);
      if (value != int64_t(int32_t(value))) return i;
      static_cast<int32_t*>(to)[i] = int32_t(value);
    }
  }
  return -1;
}

// First of elements [begin, end) outside [0, below), or -1.
inline int64_t first_outside(DType dtype, const void* data, int64_t begin, int64_t end, int64_t below) {
  const char* from = static_cast<const char*>(data);
  for (int64_t i = begin; i < end; i++) {
    const int64_t value = dtype == DType::i64 ? read_element<int64_t>(from, i) : read_element<int32_t>(from, i);
    if (value < 0 || value >= below) return i;
  }
  return -1;
}

}  // namespace ultramem::addon
