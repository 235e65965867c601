// What the compiler calls for every load, store and atomic of a kernel.
#pragma once
#include "access.h"

extern "C" {

#define SIMT_ONE(name, write, bytes) \
  void __tsan_##name##bytes(void* at) { ultramem::simt::access<write, bytes>(at, __builtin_return_address(0)); }
#define SIMT_ACCESS(bytes)             \
  SIMT_ONE(read, false, bytes)         \
  SIMT_ONE(write, true, bytes)         \
  SIMT_ONE(volatile_read, false, bytes) \
  SIMT_ONE(volatile_write, true, bytes)
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)
#undef SIMT_ACCESS
#undef SIMT_ONE

#define SIMT_UNALIGNED(name, write, bytes)                                           \
  void __tsan_unaligned_##name##bytes(void* at) {                                    \
    ultramem::simt::access_range(at, bytes, write, __builtin_return_address(0));      \
  }
SIMT_UNALIGNED(read, false, 2)
SIMT_UNALIGNED(read, false, 4)
SIMT_UNALIGNED(read, false, 8)
SIMT_UNALIGNED(read, false, 16)
SIMT_UNALIGNED(write, true, 2)
SIMT_UNALIGNED(write, true, 4)
SIMT_UNALIGNED(write, true, 8)
SIMT_UNALIGNED(write, true, 16)
#undef SIMT_UNALIGNED

void __tsan_read_range(void* at, size_t bytes) {
  ultramem::simt::access_range(at, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, size_t bytes) {
  ultramem::simt::access_range(at, bytes, true, __builtin_return_address(0));
}
void simt_copy(void* to, const void* from, size_t bytes) {
  ultramem::simt::access_range(from, bytes, false, __builtin_return_address(0));
  ultramem::simt::access_range(to, bytes, true, __builtin_return_address(0));
  std::memmove(to, from, bytes);
}
void simt_fill(void* to, int value, size_t bytes) {
  ultramem::simt::access_range(to, bytes, true, __builtin_return_address(0));
  std::memset(to, value, bytes);
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

#define SIMT_FETCH(bits, name)                                                                           \
  uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t* at, uint##bits##_t value, int) {  \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, true, __builtin_return_address(0)); \
    return __atomic_##name(at, value, __ATOMIC_RELAXED);                                                 \
  }
#define SIMT_COMPARE(bits, name)                                                                                       \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t* at, uint##bits##_t* old,                  \
                                                    uint##bits##_t value, int, int) {                                  \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, true, __builtin_return_address(0));              \
    return __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);                     \
  }
#define SIMT_ATOMICS(bits)                                                                                             \
  SIMT_FETCH(bits, fetch_add)                                                                                          \
  SIMT_FETCH(bits, fetch_sub)                                                                                          \
  SIMT_FETCH(bits, fetch_and)                                                                                          \
  SIMT_FETCH(bits, fetch_or)                                                                                           \
  SIMT_FETCH(bits, fetch_xor)                                                                                          \
  SIMT_FETCH(bits, fetch_nand)                                                                                         \
  SIMT_COMPARE(bits, strong)                                                                                           \
  SIMT_COMPARE(bits, weak)                                                                                             \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t* at, uint##bits##_t old,           \
                                                            uint##bits##_t value, int, int) {                          \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, true, __builtin_return_address(0));              \
    __atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);                           \
    return old;                                                                                                        \
  }                                                                                                                    \
  uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* at, uint##bits##_t value, int) {              \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, true, __builtin_return_address(0));              \
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);                                                           \
  }                                                                                                                    \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* at, int) {                                  \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, false, __builtin_return_address(0));             \
    return __atomic_load_n(at, __ATOMIC_RELAXED);                                                                      \
  }                                                                                                                    \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* at, uint##bits##_t value, int) {                           \
    ultramem::simt::atomic(const_cast<uint##bits##_t*>(at), bits / 8, true, __builtin_return_address(0));              \
    __atomic_store_n(at, value, __ATOMIC_RELAXED);                                                                     \
  }
SIMT_ATOMICS(8)
SIMT_ATOMICS(16)
SIMT_ATOMICS(32)
SIMT_ATOMICS(64)
#undef SIMT_ATOMICS
#undef SIMT_COMPARE
#undef SIMT_FETCH

}  // extern "C"
