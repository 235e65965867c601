// CUDA's atomic functions; relaxed, as on the device.
#pragma once

// Applies `change` until nobody wrote in between. U: an integer as wide as T.
template <class U, class T, class Change>
SIMT_INLINE T simt_update(T* at, Change change) {
  U* bits = reinterpret_cast<U*>(at);
  U old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  while (true) {
    const U next = __builtin_bit_cast(U, change(__builtin_bit_cast(T, old)));
    const U seen = __sync_val_compare_and_swap(bits, old, next);
    if (seen == old) return __builtin_bit_cast(T, old);
    old = seen;
  }
}

#define SIMT_ATOMIC(T, U)                                                                                            \
  SIMT_INLINE T atomicAdd(T* at, T v) { return (T)(__atomic_fetch_add(at, v, __ATOMIC_RELAXED)); }                     \
  SIMT_INLINE T atomicSub(T* at, T v) { return (T)(__atomic_fetch_sub(at, v, __ATOMIC_RELAXED)); }                     \
  SIMT_INLINE T atomicAnd(T* at, T v) { return (T)(__atomic_fetch_and(at, v, __ATOMIC_RELAXED)); }                     \
  SIMT_INLINE T atomicOr(T* at, T v) { return (T)(__atomic_fetch_or(at, v, __ATOMIC_RELAXED)); }                       \
  SIMT_INLINE T atomicXor(T* at, T v) { return (T)(__atomic_fetch_xor(at, v, __ATOMIC_RELAXED)); }                     \
  SIMT_INLINE T atomicExch(T* at, T v) { return (T)(__atomic_exchange_n(at, v, __ATOMIC_RELAXED)); }                   \
  SIMT_INLINE T atomicCAS(T* at, T old, T v) { return (T)(__sync_val_compare_and_swap(at, old, v)); }                  \
  SIMT_INLINE T atomicMax(T* at, T v) { return simt_update<U>(at, [v](T a) { return a < v ? v : a; }); }             \
  SIMT_INLINE T atomicMin(T* at, T v) { return simt_update<U>(at, [v](T a) { return v < a ? v : a; }); }
SIMT_ATOMIC(int, unsigned)
SIMT_ATOMIC(unsigned, unsigned)
SIMT_ATOMIC(unsigned long long, unsigned long long)
SIMT_ATOMIC(long long, unsigned long long)
#undef SIMT_ATOMIC

SIMT_INLINE unsigned atomicInc(unsigned* at, unsigned last) {
  return simt_update<unsigned>(at, [last](unsigned a) { return a >= last ? 0 : a + 1; });
}
SIMT_INLINE unsigned atomicDec(unsigned* at, unsigned last) {
  return simt_update<unsigned>(at, [last](unsigned a) { return a == 0 || a > last ? last : a - 1; });
}
SIMT_INLINE float atomicAdd(float* at, float v) {
  return simt_update<unsigned>(at, [v](float a) { return a + v; });
}
SIMT_INLINE double atomicAdd(double* at, double v) {
  return simt_update<unsigned long long>(at, [v](double a) { return a + v; });
}
SIMT_INLINE float atomicExch(float* at, float v) {
  return simt_update<unsigned>(at, [v](float) { return v; });
}
