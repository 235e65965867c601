// The functions of elementwise expressions, by the names they have there.
#pragma once

namespace ultramem::cuda::fn {

__device__ inline float neg(float a) { return -a; }
__device__ inline int neg(int a) { return int(0u - unsigned(a)); }
__device__ inline float exp(float a) { return ::expf(a); }
__device__ inline float log(float a) { return ::logf(a); }
__device__ inline float sqrt(float a) { return ::sqrtf(a); }
__device__ inline float rsqrt(float a) { return 1.0f / ::sqrtf(a); }
__device__ inline float square(float a) { return a * a; }
__device__ inline int square(int a) { return int(unsigned(a) * unsigned(a)); }
__device__ inline float abs(float a) { return ::fabsf(a); }
__device__ inline int abs(int a) { return a < 0 ? neg(a) : a; }
template <class V>
__device__ inline V relu(V a) {
  return a < V(0) ? V(0) : a;
}
__device__ inline float sigmoid(float a) { return 1.0f / (1.0f + ::expf(-a)); }
__device__ inline float silu(float a) { return a / (1.0f + ::expf(-a)); }
// Below zero through erfc, where 1 + erf would cancel.
__device__ inline float gelu(float a) { return 0.5f * a * ::erfcf(-a * 0.70710678118654752f); }
__device__ inline float tanh(float a) { return ::tanhf(a); }

__device__ inline float add(float a, float b) { return a + b; }
__device__ inline int add(int a, int b) { return int(unsigned(a) + unsigned(b)); }
__device__ inline float sub(float a, float b) { return a - b; }
__device__ inline int sub(int a, int b) { return int(unsigned(a) - unsigned(b)); }
__device__ inline float mul(float a, float b) { return a * b; }
__device__ inline int mul(int a, int b) { return int(unsigned(a) * unsigned(b)); }
__device__ inline float div(float a, float b) { return a / b; }
// The first operand, unless the second is strictly beyond it.
template <class V>
__device__ inline V min(V a, V b) {
  return b < a ? b : a;
}
template <class V>
__device__ inline V max(V a, V b) {
  return a < b ? b : a;
}
// Quotient rounded down, and its remainder; a divisor below 1 counts as 1.
__device__ inline int idiv(int a, int b) {
  const int by = b < 1 ? 1 : b;
  return a / by - (a % by < 0 ? 1 : 0);
}
__device__ inline int imod(int a, int b) {
  const int by = b < 1 ? 1 : b;
  const int rest = a % by;
  return rest < 0 ? rest + by : rest;
}

}  // namespace ultramem::cuda::fn
