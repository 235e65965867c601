// Elementary functions of Vec, relative error at most 2e-7 (gelu 5e-7), subnormal results aside; infinities
// and NaN as in C (gelu(-∞) is -0). log works lane by lane. The names of an elementwise expression stand in namespace fn.
#pragma once
#include <cmath>

#include "simd.h"

namespace ultramem {

using BitVec = uint32_t __attribute__((vector_size(LANES * 4)));

inline IntVec as_int(Vec v) { return reinterpret_cast<IntVec>(v); }
inline Vec as_float(IntVec v) { return reinterpret_cast<Vec>(v); }
inline Vec magnitude(Vec v) { return as_float(as_int(v) & 0x7fffffff); }
inline Vec with_sign_of(Vec v, Vec sign) { return as_float(as_int(v) | (as_int(sign) & INT32_MIN)); }
inline Vec square_root(Vec v) {
#if defined(__AVX512F__)
  return _mm512_sqrt_ps(v);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(v);
#elif defined(__SSE2__)
  return _mm_sqrt_ps(v);
#else
  for (int i = 0; i < LANES; i++) v[i] = std::sqrt(v[i]);
  return v;
#endif
}

// Lane i of the result is the sum over the lanes of sums[i], added in halves. sums is destroyed.
inline Vec sums_of(Vec (&sums)[LANES]) {
  // Each round adds neighbours within a vector and packs two vectors into one, evens of a, then of b.
  IntVec even, odd;
  for (int i = 0; i < LANES; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
#pragma GCC unroll 16
  for (int n = LANES / 2; n > 0; n /= 2)
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) sums[i] = __builtin_shuffle(sums[2 * i], sums[2 * i + 1], even) + __builtin_shuffle(sums[2 * i], sums[2 * i + 1], odd);
  return sums[0];
}

// e^(x + small), |small| ≤ 0.03.
inline Vec exponential(Vec x, Vec small) {
  x = x > 89.f ? splat(89.f) : x;  // overflows to infinity below; NaN stays
  x = x < -104.f ? splat(-104.f) : x;
  // n = x / ln 2 rounded: adding 1.5·2^23 leaves it in the low bits.
  const Vec shifted = x * 1.44269504f + 12582912.f;
  const IntVec n = as_int(shifted) - 0x4b400000;
  const Vec whole = shifted - 12582912.f;
  const Vec r = (x - whole * 0.693145752f) - whole * 1.42860677e-6f + small;
  // Taylor to r^7: |r| ≤ 0.38 leaves out less than 2e-8.
  Vec p = r * (1.f / 5040) + (1.f / 720);
  p = p * r + (1.f / 120);
  p = p * r + (1.f / 24);
  p = p * r + (1.f / 6);
  p = p * r + 0.5f;
  p = p * r * r + r + 1.f;
  // 2^n in two factors, as n reaches -150 (subnormal results) and 128 (infinity).
  const IntVec half = n >> 1;
  const BitVec first = reinterpret_cast<BitVec>(half + 127) << 23, second = reinterpret_cast<BitVec>(n - half + 127) << 23;
  return p * reinterpret_cast<Vec>(first) * reinterpret_cast<Vec>(second);
}

namespace fn {

inline Vec exp(Vec x) { return exponential(x, Vec{}); }

inline Vec sigmoid(Vec x) { return 1.f / (1.f + exp(-x)); }

// Below -88.7 the exponential overflows: -0 instead of numbers of at most 2.5e-37.
inline Vec silu(Vec x) { return x / (1.f + exp(-x)); }

inline Vec tanh(Vec x) {
  const Vec a = magnitude(x), z = x * x;
  const Vec far = 1.f - 2.f / (exp(a + a) + 1.f);
  // Below 0.65 the form above cancels: an odd polynomial, fitted, error 3e-8.
  Vec p = z * -0.005923726206f + 0.02087346058f;
  p = p * z - 0.05382375887f;
  p = p * z + 0.1333258371f;
  p = p * z - 0.3333332702f;
  const Vec near = a + a * z * p;
  return with_sign_of(a < 0.65f ? near : far, x);
}

// x Φ(x), Φ the normal distribution: with z = |x|, Φ(-z) = e^(-z²/2) R(z), where R is smooth and fitted.
inline Vec gelu(Vec x) {
  Vec z = magnitude(x);
  z = z > 20.f ? splat(20.f) : z;
  // z² in two parts, the first exact, so that the rounding of a large exponent does not show.
  const Vec high = as_float(as_int(z) & ~0xfff);
  const Vec rest = (z - high) * (z + high);
  const Vec gauss = exponential(high * high * -0.5f, rest * -0.5f);
  const Vec t = 1.f / (1.f + 0.3f * z);
  Vec r = t * -0.02098466926f + 0.1144021113f;
  r = r * t - 0.2328354818f;
  r = r * t + 0.1979216425f;
  r = r * t - 0.08448128122f;
  r = r * t + 0.09883084061f;
  r = r * t + 0.07748577087f;
  r = r * t + 0.1104231966f;
  r = r * t + 0.1195501183f;
  r = r * t + 0.1196877502f;
  const Vec tail = gauss * (r * t * z);
  return x < 0.f ? -tail : x - tail;
}

inline Vec log(Vec x) {
  for (int i = 0; i < LANES; i++) x[i] = std::log(x[i]);
  return x;
}

inline Vec sqrt(Vec x) { return square_root(x); }
inline Vec rsqrt(Vec x) { return 1.f / square_root(x); }
inline Vec square(Vec x) { return x * x; }
inline Vec neg(Vec x) { return -x; }
inline Vec abs(Vec x) { return magnitude(x); }
inline Vec relu(Vec x) { return x < 0.f ? Vec{} : x; }  // NaN stays

// Two operands, either of which may be a plain number.
inline Vec lanes(float x) { return splat(x); }
inline Vec lanes(Vec x) { return x; }
inline IntVec lanes(int32_t x) { return splat(x); }
inline IntVec lanes(IntVec x) { return x; }

template <class A, class B>
inline auto add(A a, B b) { return lanes(a) + lanes(b); }
template <class A, class B>
inline auto sub(A a, B b) { return lanes(a) - lanes(b); }
template <class A, class B>
inline auto mul(A a, B b) { return lanes(a) * lanes(b); }
template <class A, class B>
inline Vec div(A a, B b) { return lanes(a) / lanes(b); }

// NaN in either operand is kept.
inline Vec keep_larger(Vec a, Vec b) {
  const Vec m = a > b ? a : b;
  return a == a ? m : a;
}
inline Vec keep_smaller(Vec a, Vec b) {
  const Vec m = a < b ? a : b;
  return a == a ? m : a;
}
inline IntVec keep_larger(IntVec a, IntVec b) { return a > b ? a : b; }
inline IntVec keep_smaller(IntVec a, IntVec b) { return a < b ? a : b; }
template <class A, class B>
inline auto max(A a, B b) { return keep_larger(lanes(a), lanes(b)); }
template <class A, class B>
inline auto min(A a, B b) { return keep_smaller(lanes(a), lanes(b)); }

// Floor division and its remainder; a divisor ≤ 0, which the graph rules out, gives 0.
template <class A, class B>
inline IntVec idiv(A a, B b) {
  IntVec x = lanes(a);
  const IntVec y = lanes(b);
  for (int i = 0; i < LANES; i++) {
    const int32_t d = y[i], n = x[i];
    x[i] = d <= 0 ? 0 : n / d - (n % d < 0 ? 1 : 0);
  }
  return x;
}
template <class A, class B>
inline IntVec imod(A a, B b) {
  IntVec x = lanes(a);
  const IntVec y = lanes(b);
  for (int i = 0; i < LANES; i++) {
    const int32_t d = y[i], n = x[i];
    x[i] = d <= 0 ? 0 : n % d + (n % d < 0 ? d : 0);
  }
  return x;
}

}  // namespace fn
}  // namespace ultramem
