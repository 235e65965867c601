// What every kernel stands on: compile-time lists, walks over strided axes, sums over a warp or block. Includes nothing, so
// that a kernel compiles in a moment; long long stands for 64 bits, as in the host's tables.
#pragma once

// Bytes as the launch asks for them; aligned for the widest load.
extern __shared__ __align__(16) unsigned char dynamic_shared[];

namespace ultramem::cuda {

constexpr unsigned ALL_LANES = 0xffffffffu;

template <class N, class D>
__host__ __device__ constexpr N ceil_div(N n, D d) {
  return (n + d - 1) / d;
}

template <long long... Values>
struct Ints {};

template <class A, class B>
constexpr bool same_type = false;
template <class A>
constexpr bool same_type<A, A> = true;

// Elements of axes of these sizes; where the element of row-major number e lies by these strides.
template <class Dims, class Strides>
struct Walk;
template <>
struct Walk<Ints<>, Ints<>> {
  static constexpr long long SIZE = 1;
  static __device__ long long at(long long) { return 0; }
};
template <long long Dim, long long... Dims, long long Stride, long long... Strides>
struct Walk<Ints<Dim, Dims...>, Ints<Stride, Strides...>> {
  using Inner = Walk<Ints<Dims...>, Ints<Strides...>>;
  static constexpr long long SIZE = Dim * Inner::SIZE;
  static __device__ long long at(long long e) { return e / Inner::SIZE * Stride + Inner::at(e % Inner::SIZE); }
};

template <class Dims>
constexpr long long product_of = 1;
template <long long Dim, long long... Dims>
constexpr long long product_of<Ints<Dim, Dims...>> = Dim * product_of<Ints<Dims...>>;

// Number of this thread in a grid of one axis.
__device__ inline long long thread_number() { return (long long)(blockIdx.x) * blockDim.x + threadIdx.x; }

__device__ inline long long clamp_index(long long index, long long count) {
  return index < 0 ? 0 : index >= count ? count - 1 : index;
}

// Over all lanes of a full warp, the same in each: a fixed tree.
template <class V>
__device__ inline V warp_sum(V value) {
#pragma unroll
  for (int stride = 16; stride > 0; stride /= 2) value += __shfl_xor_sync(ALL_LANES, value, stride);
  return value;
}

__device__ inline float warp_max(float value) {
#pragma unroll
  for (int stride = 16; stride > 0; stride /= 2) {
    const float other = __shfl_xor_sync(ALL_LANES, value, stride);
    value = other > value || other != other ? other : value;
  }
  return value;
}

// Over a block of WARPS full warps, the same in every thread: warps are added in their order.
template <int WARPS>
__device__ inline float block_sum(float value) {
  value = warp_sum(value);
  if constexpr (WARPS > 1) {
    __shared__ float parts[WARPS];
    __syncthreads();  // the last sum may still be read
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = parts[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; warp++) value += parts[warp];
  }
  return value;
}

// Whether a token after `row` has its sequence and, counted modulo `slots`, its position: the same in the whole block.
template <int THREADS>
__device__ inline bool written_again(int row, int rows, const int* positions, const int* sequence, int slots) {
  int again = 0;
  for (int later = row + 1 + int(threadIdx.x); later < rows; later += THREADS)
    again |= sequence[later] == sequence[row] && positions[later] % slots == positions[row] % slots;
  return __syncthreads_or(again) != 0;
}

}  // namespace ultramem::cuda
