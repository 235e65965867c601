// Asynchronous copies from global to shared memory: under the names of cuda_pipeline_primitives.h, and under short ones
// for code that has instructions of its own on the device: `#if defined(__CUDACC__)`.
#pragma once

extern "C" {
// The copy is made when it is waited for; the last `zeros` bytes become 0.
void simt_copy_async(void* to, const void* from, size_t bytes, size_t zeros);
void simt_copy_commit(void);
// Until at most so many of the thread's latest groups are under way.
void simt_copy_wait(unsigned groups);
}

SIMT_INLINE void __pipeline_memcpy_async(void* to, const void* from, size_t bytes, size_t zeros = 0) {
  simt_copy_async(to, from, bytes, zeros);
}
SIMT_INLINE void __pipeline_commit() { simt_copy_commit(); }
SIMT_INLINE void __pipeline_wait_prior(size_t groups) { simt_copy_wait(unsigned(groups)); }

// The first `bytes` of 16, zeros behind them.
SIMT_INLINE void cp_async16(void* to, const void* from, unsigned bytes = 16) { simt_copy_async(to, from, 16, 16 - bytes); }
SIMT_INLINE void cp_async_commit() { simt_copy_commit(); }
template <int kGroups>
SIMT_INLINE void cp_async_wait() {
  simt_copy_wait(kGroups);
}
