// Runs of f32, bf16, i8 or f8 elements, computed with as floats: loads and stores as wide as alignment allows, dot products, sums over
// lanes.
#pragma once
#include "convert.cuh"
#include "device.cuh"

namespace ultramem::cuda {

// COUNT elements as floats, 8, 4, 2 or 1, read in as few accesses as their bytes allow (16 in one) from memory that is aligned
// to COUNT of them, or to 16 bytes.
template <int COUNT>
__device__ inline void copy_floats(float* to, const float* from) {
  static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4 || COUNT == 8);
  if constexpr (COUNT >= 4) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) {
      const float4 v = *reinterpret_cast<const float4*>(from + i);
      to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
    }
  } else if constexpr (COUNT == 2) {
    const float2 v = *reinterpret_cast<const float2*>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
    to[0] = from[0];
  }
}

// Two bf16 of one word, the lower half first.
__device__ inline void split_bf16(unsigned pair, float* to) {
  to[0] = __uint_as_float(pair << 16);
  to[1] = __uint_as_float(pair & 0xffff0000u);
}
__device__ inline unsigned join_bf16(float low, float high) {
  BF16 a, b;
  from_float(low, a);
  from_float(high, b);
  return unsigned(a.bits) | unsigned(b.bits) << 16;
}

template <int COUNT>
__device__ inline void copy_floats(float* to, const BF16* from) {
  static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4 || COUNT == 8);
  if constexpr (COUNT == 8) {
    const uint4 v = *reinterpret_cast<const uint4*>(from);
    split_bf16(v.x, to), split_bf16(v.y, to + 2), split_bf16(v.z, to + 4), split_bf16(v.w, to + 6);
  } else if constexpr (COUNT == 4) {
    const uint2 v = *reinterpret_cast<const uint2*>(from);
    split_bf16(v.x, to), split_bf16(v.y, to + 2);
  } else if constexpr (COUNT == 2) {
    split_bf16(*reinterpret_cast<const unsigned*>(from), to);
  } else {
    to[0] = to_float(from[0]);
  }
}

// Four bytes of a word, the lowest first.
__device__ inline void split_bytes(unsigned word, float* to, signed char) {
#pragma unroll
  for (int i = 0; i < 4; i++) to[i] = to_float((signed char)(word >> 8 * i & 0xffu));
}
__device__ inline void split_bytes(unsigned word, float* to, F8) {
#pragma unroll
  for (int i = 0; i < 4; i++) to[i] = to_float(F8{(unsigned char)(word >> 8 * i & 0xffu)});
}
template <int COUNT, class E>
__device__ inline void copy_bytes(float* to, const E* from) {
  static_assert(sizeof(E) == 1 && (COUNT == 1 || COUNT == 2 || COUNT == 4 || COUNT == 8));
  if constexpr (COUNT == 8) {
    const uint2 v = *reinterpret_cast<const uint2*>(from);
    split_bytes(v.x, to, E{}), split_bytes(v.y, to + 4, E{});
  } else if constexpr (COUNT == 4) {
    split_bytes(*reinterpret_cast<const unsigned*>(from), to, E{});
  } else if constexpr (COUNT == 2) {
    float both[4];
    split_bytes(*reinterpret_cast<const unsigned short*>(from), both, E{});
    to[0] = both[0], to[1] = both[1];
  } else {
    to[0] = to_float(from[0]);
  }
}
template <int COUNT>
__device__ inline void copy_floats(float* to, const signed char* from) {
  copy_bytes<COUNT>(to, from);
}
template <int COUNT>
__device__ inline void copy_floats(float* to, const F8* from) {
  copy_bytes<COUNT>(to, from);
}

// COUNT floats, 8, 4, 2 or 1, written as elements in accesses as wide as copy_floats reads.
template <int COUNT>
__device__ inline void store_floats(float* to, const float* from) {
  static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4 || COUNT == 8);
  if constexpr (COUNT >= 4) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4)
      *reinterpret_cast<float4*>(to + i) = make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]);
  } else if constexpr (COUNT == 2) {
    *reinterpret_cast<float2*>(to) = make_float2(from[0], from[1]);
  } else {
    to[0] = from[0];
  }
}
template <int COUNT>
__device__ inline void store_floats(BF16* to, const float* from) {
  static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4 || COUNT == 8);
  if constexpr (COUNT == 8) {
    *reinterpret_cast<uint4*>(to) = make_uint4(join_bf16(from[0], from[1]), join_bf16(from[2], from[3]),
                                               join_bf16(from[4], from[5]), join_bf16(from[6], from[7]));
  } else if constexpr (COUNT == 4) {
    *reinterpret_cast<uint2*>(to) = make_uint2(join_bf16(from[0], from[1]), join_bf16(from[2], from[3]));
  } else if constexpr (COUNT == 2) {
    *reinterpret_cast<unsigned*>(to) = join_bf16(from[0], from[1]);
  } else {
    from_float(from[0], to[0]);
  }
}

// COUNT elements from place to place.
template <int COUNT, class T>
__device__ inline void copy_run(T* to, const T* from) {
  float run[COUNT];
  copy_floats<COUNT>(run, from);
  store_floats<COUNT>(to, run);
}

// One element as a float, and back.
template <class T>
__device__ inline float load_float(const T* from) {
  return to_float(*from);
}
template <class T>
__device__ inline void store_float(T* to, float value) {
  from_float(value, *to);
}

// sum + a · b over COUNT elements.
template <int COUNT, class A, class B>
__device__ inline float dot_floats(const A* a, const B* b, float sum) {
  float x[COUNT], y[COUNT];
  copy_floats<COUNT>(x, a);
  copy_floats<COUNT>(y, b);
#pragma unroll
  for (int i = 0; i < COUNT; i++) sum += x[i] * y[i];
  return sum;
}

// The sum over groups of LANES neighbouring lanes, in every one of them.
template <int LANES>
__device__ inline float lanes_sum(float value) {
#pragma unroll
  for (int stride = LANES / 2; stride > 0; stride /= 2) value += __shfl_xor_sync(ALL_LANES, value, stride);
  return value;
}

}  // namespace ultramem::cuda
