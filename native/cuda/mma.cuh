// Instructions for tiles: copies to shared memory beside the computation, products of bf16 by a whole warp. Before 8.0 a device
// has neither: other instructions give the same there. Under native/simt its own functions stand for them.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

#if defined(__CUDACC__)

// The first `bytes` of 16, zeros behind them, to shared memory; both addresses are multiples of 16.
__device__ inline void cp_async16(void* to, const void* from, unsigned bytes = 16) {
#if __CUDA_ARCH__ >= 800
  const unsigned place = unsigned(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(bytes) : "memory");
#else
  const unsigned* words = static_cast<const unsigned*>(from);
  unsigned v[4];
#pragma unroll
  for (int i = 0; i < 4; i++) v[i] = i * 4 < int(bytes) ? words[i] : 0;
  *static_cast<uint4*>(to) = make_uint4(v[0], v[1], v[2], v[3]);
#endif
}

// Closes the group of the copies that this thread has begun since the last one.
__device__ inline void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Until at most GROUPS of this thread's latest groups are under way.
template <int GROUPS>
__device__ inline void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// sum (16,8) += a (16,16) · b (16,8), spread over the warp: lane l has rows l / 4 and l / 4 + 8 of a and sum and column l / 4
// of b; of the other axis, elements 2 (l % 4) and the next, of a and b those 8 further on too.
__device__ inline void mma_bf16(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const int lane = int(threadIdx.x % 32);
#pragma unroll 1
  for (int from = 0; from < 4; from++)
#pragma unroll
    for (int i = 0; i < 8; i++) {  // elements of sum, with k 2 from and the next, and those 8 further on
      const unsigned left = __shfl_sync(ALL_LANES, a[i / 4 * 2 + i / 2 % 2], lane / 4 * 4 + from);
      const unsigned right = __shfl_sync(ALL_LANES, b[i / 4], lane % 4 * 8 + i % 2 * 4 + from);
      sum[i % 4] += __uint_as_float(left << 16) * __uint_as_float(right << 16);
      sum[i % 4] += __uint_as_float(left & 0xffff0000u) * __uint_as_float(right & 0xffff0000u);
    }
#endif
}

#endif

}  // namespace ultramem::cuda
