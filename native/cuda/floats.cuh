// Runs of floats: loads as wide as alignment allows, dot products, sums over lanes.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// COUNT floats, 4, 2 or 1, read in one access of memory that is aligned to it.
template <int COUNT>
__device__ inline void copy_floats(float* to, const float* from) {
  static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4);
  if constexpr (COUNT == 4) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else if constexpr (COUNT == 2) {
    const float2 v = *reinterpret_cast<const float2*>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
    to[0] = from[0];
  }
}

// COUNT floats, 4 or 1, written in one access to memory that is aligned to it.
template <int COUNT>
__device__ inline void store_floats(float* to, const float* from) {
  static_assert(COUNT == 1 || COUNT == 4);
  if constexpr (COUNT == 4) *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  else to[0] = from[0];
}

// sum + a · b over COUNT floats.
template <int COUNT>
__device__ inline float dot_floats(const float* a, const float* b, float sum) {
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
