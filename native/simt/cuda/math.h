// Device functions on numbers. Fast forms are the exact ones here.
#pragma once
#include <math.h>

#define SIMT_UNARY(name, is) \
  SIMT_INLINE float name(float a) { return is; }
SIMT_UNARY(__expf, ::expf(a))
SIMT_UNARY(__exp10f, ::powf(10.0f, a))
SIMT_UNARY(__logf, ::logf(a))
SIMT_UNARY(__log2f, ::log2f(a))
SIMT_UNARY(__log10f, ::log10f(a))
SIMT_UNARY(__sinf, ::sinf(a))
SIMT_UNARY(__cosf, ::cosf(a))
SIMT_UNARY(__tanf, ::tanf(a))
SIMT_UNARY(__saturatef, a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f)
SIMT_UNARY(__frcp_rn, 1.0f / a)
SIMT_UNARY(__fsqrt_rn, ::sqrtf(a))
SIMT_UNARY(__frsqrt_rn, float(1.0 / ::sqrt(double(a))))
SIMT_UNARY(rsqrtf, float(1.0 / ::sqrt(double(a))))
SIMT_UNARY(rcbrtf, float(1.0 / ::cbrt(double(a))))
SIMT_UNARY(normcdff, float(0.5 * ::erfc(-double(a) * 0.70710678118654752440)))
#undef SIMT_UNARY
SIMT_INLINE double rsqrt(double a) { return 1.0 / ::sqrt(a); }
SIMT_INLINE float rsqrt(float a) { return rsqrtf(a); }

SIMT_INLINE float __fdividef(float a, float b) { return a / b; }
SIMT_INLINE float __powf(float a, float b) { return ::powf(a, b); }
SIMT_INLINE void __sincosf(float a, float* sine, float* cosine) {
  *sine = ::sinf(a);
  *cosine = ::cosf(a);
}
SIMT_INLINE void sincospif(float a, float* sine, float* cosine) {
  *sine = float(::sin(double(a) * 3.14159265358979323846));
  *cosine = float(::cos(double(a) * 3.14159265358979323846));
}
// The compiler may not contract these: that is what they are for.
SIMT_INLINE float simt_kept(float a) {
  __asm__("" : "+m"(a));
  return a;
}
SIMT_INLINE float __fadd_rn(float a, float b) { return simt_kept(a + b); }
SIMT_INLINE float __fsub_rn(float a, float b) { return simt_kept(a - b); }
SIMT_INLINE float __fmul_rn(float a, float b) { return simt_kept(a * b); }
SIMT_INLINE float __fdiv_rn(float a, float b) { return a / b; }
SIMT_INLINE float __fmaf_rn(float a, float b, float c) { return ::fmaf(a, b, c); }
SIMT_INLINE double __fma_rn(double a, double b, double c) { return ::fma(a, b, c); }

SIMT_INLINE int __float_as_int(float a) { return __builtin_bit_cast(int, a); }
SIMT_INLINE unsigned __float_as_uint(float a) { return __builtin_bit_cast(unsigned, a); }
SIMT_INLINE float __int_as_float(int a) { return __builtin_bit_cast(float, a); }
SIMT_INLINE float __uint_as_float(unsigned a) { return __builtin_bit_cast(float, a); }
SIMT_INLINE long long __double_as_longlong(double a) { return __builtin_bit_cast(long long, a); }
SIMT_INLINE double __longlong_as_double(long long a) { return __builtin_bit_cast(double, a); }
SIMT_INLINE int __float2int_rn(float a) { return int(::rintf(a)); }
SIMT_INLINE int __float2int_rz(float a) { return int(a); }
SIMT_INLINE int __float2int_rd(float a) { return int(::floorf(a)); }
SIMT_INLINE int __float2int_ru(float a) { return int(::ceilf(a)); }
SIMT_INLINE unsigned __float2uint_rn(float a) { return unsigned(::rintf(a)); }
SIMT_INLINE float __int2float_rn(int a) { return float(a); }
SIMT_INLINE float __uint2float_rn(unsigned a) { return float(a); }

SIMT_INLINE int __popc(unsigned a) { return __builtin_popcount(a); }
SIMT_INLINE int __popcll(unsigned long long a) { return __builtin_popcountll(a); }
SIMT_INLINE int __clz(int a) { return a ? __builtin_clz(unsigned(a)) : 32; }
SIMT_INLINE int __clzll(long long a) { return a ? __builtin_clzll((unsigned long long)a) : 64; }
SIMT_INLINE int __ffs(int a) { return __builtin_ffs(a); }
SIMT_INLINE int __ffsll(long long a) { return __builtin_ffsll(a); }
SIMT_INLINE unsigned __brev(unsigned a) {
  a = (a >> 1 & 0x55555555u) | (a & 0x55555555u) << 1;
  a = (a >> 2 & 0x33333333u) | (a & 0x33333333u) << 2;
  a = (a >> 4 & 0x0f0f0f0fu) | (a & 0x0f0f0f0fu) << 4;
  return __builtin_bswap32(a);
}
SIMT_INLINE int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
SIMT_INLINE unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
SIMT_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
SIMT_INLINE unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const unsigned long long both = (unsigned long long)b << 32 | a;
  unsigned out = 0;
  for (int i = 0; i < 4; i++) out |= unsigned(both >> ((selector >> 4 * i & 7) * 8) & 255) << 8 * i;
  return out;
}
SIMT_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return unsigned((((unsigned long long)high << 32 | low) << (by & 31)) >> 32);
}
SIMT_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return unsigned(((unsigned long long)high << 32 | low) >> (by & 31));
}

#define SIMT_MIN_MAX(T)                                          \
  SIMT_INLINE constexpr T min(T a, T b) { return b < a ? b : a; } \
  SIMT_INLINE constexpr T max(T a, T b) { return a < b ? b : a; }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
#undef SIMT_MIN_MAX
SIMT_INLINE unsigned min(int a, unsigned b) { return min(unsigned(a), b); }
SIMT_INLINE unsigned min(unsigned a, int b) { return min(a, unsigned(b)); }
SIMT_INLINE unsigned max(int a, unsigned b) { return max(unsigned(a), b); }
SIMT_INLINE unsigned max(unsigned a, int b) { return max(a, unsigned(b)); }
// A NaN loses, as fminf has it.
SIMT_INLINE float min(float a, float b) { return ::fminf(a, b); }
SIMT_INLINE float max(float a, float b) { return ::fmaxf(a, b); }
SIMT_INLINE double min(double a, double b) { return ::fmin(a, b); }
SIMT_INLINE double max(double a, double b) { return ::fmax(a, b); }
