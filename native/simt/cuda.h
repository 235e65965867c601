// CUDA C++ as a host compiler can read it: included ahead of a .cu. Everything that waits or exchanges calls simt.cc.
#pragma once
// Or the compiler takes a load of a float4 apart.
#pragma GCC optimize("no-tree-sra")

#include <stddef.h>
#include <stdint.h>

#include "simt.h"  // ahead of the macros below, which the standard library could not bear

// A block's threads run on one thread of the host.
#define __shared__ thread_local
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__
#define __maxnreg__(...)
#define __cluster_dims__(...)

#define SIMT_INLINE inline __attribute__((always_inline))

// What the places of a launch and the waits look like from inside; the meaning of `op` is in simt/block.h.
extern "C" {
__attribute__((const)) unsigned simt_index(int which);
int simt_barrier(int op, int value);
unsigned long long simt_warp(int op, unsigned mask, unsigned long long value, int param, int width);
unsigned simt_active(void);
void simt_copy(void* to, const void* from, size_t bytes);
void simt_fill(void* to, int value, size_t bytes);
void simt_yield(void);
[[noreturn]] void simt_trap(void);
}

#include "cuda/vectors.h"

SIMT_INLINE uint3 simt_index3(int first) { return {simt_index(first), simt_index(first + 1), simt_index(first + 2)}; }
#define threadIdx (simt_index3(0))
#define blockIdx (simt_index3(3))
#define blockDim (dim3(simt_index3(6)))
#define gridDim (dim3(simt_index3(9)))
constexpr int warpSize = 32;

#include "cuda/async.h"
#include "cuda/atomics.h"
#include "cuda/math.h"
#include "cuda/mma.h"
#include "cuda/warp.h"

SIMT_INLINE void __syncthreads() { simt_barrier(0, 0); }
SIMT_INLINE int __syncthreads_count(int value) { return simt_barrier(1, value); }
SIMT_INLINE int __syncthreads_and(int value) { return simt_barrier(2, value); }
SIMT_INLINE int __syncthreads_or(int value) { return simt_barrier(3, value); }
SIMT_INLINE void __threadfence() {}
SIMT_INLINE void __threadfence_block() {}
SIMT_INLINE void __threadfence_system() {}
SIMT_INLINE void __nanosleep(unsigned) { simt_yield(); }
SIMT_INLINE void __trap() { simt_trap(); }
template <class T>
SIMT_INLINE T __ldg(const T* at) {
  return *at;
}

// The compiler would expand these without telling what they touch.
#define memcpy(to, from, bytes) simt_copy(to, from, bytes)
#define memset(to, value, bytes) simt_fill(to, value, bytes)
#define __builtin_memcpy(to, from, bytes) simt_copy(to, from, bytes)
#define __builtin_memset(to, value, bytes) simt_fill(to, value, bytes)
