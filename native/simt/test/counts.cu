// Patterns of access whose requests, sectors and conflicts can be worked out by hand.

extern "C" __global__ void unit(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void unit16(const float4* x, float4* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void stride2(const float* x, float* y) { y[threadIdx.x * 2] = x[threadIdx.x * 2]; }
extern "C" __global__ void stride8(const float* x, float* y) { y[threadIdx.x * 8] = x[threadIdx.x * 8]; }
extern "C" __global__ void stride32(const float* x, float* y) { y[threadIdx.x * 32] = x[threadIdx.x * 32]; }
extern "C" __global__ void shifted(const float* x, float* y) { y[threadIdx.x + 1] = x[threadIdx.x + 1]; }
extern "C" __global__ void broadcast(const float* x, float* y) { y[threadIdx.x] = x[17]; }
// A permutation of 1024 numbers whose neighbours lie in different sectors.
extern "C" __global__ void scattered(const float* x, float* y) {
  y[threadIdx.x * 389 % 1024] = x[threadIdx.x * 389 % 1024];
}
// Lanes make different numbers of visits: lane i makes i + 1.
extern "C" __global__ void triangle(const float* x, float* y) {
  float sum = 0.0f;
  for (unsigned i = 0; i <= threadIdx.x; i++) sum += x[i * 32 + threadIdx.x];
  y[threadIdx.x] = sum;
}

// Every element four times.
extern "C" __global__ void again(const float* x, float* y) {
  float sum = 0.0f;
  for (unsigned i = 0; i < 4; i++) sum += x[(threadIdx.x + i * 5) % 32];
  y[threadIdx.x] = sum;
}
// One lane of four takes the branch.
extern "C" __global__ void quarter(const float* x, float* y) {
  if (threadIdx.x % 4 == 3) y[threadIdx.x] = x[threadIdx.x];
}

template <unsigned kStride, class T>
__device__ inline void through_shared(const T* x, T* y) {
  __shared__ T tile[32 * kStride];
  tile[threadIdx.x * kStride] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x * kStride];
}
extern "C" __global__ void shared1(const float* x, float* y) { through_shared<1>(x, y); }
extern "C" __global__ void shared2(const float* x, float* y) { through_shared<2>(x, y); }
extern "C" __global__ void shared8(const float* x, float* y) { through_shared<8>(x, y); }
extern "C" __global__ void shared32(const float* x, float* y) { through_shared<32>(x, y); }
extern "C" __global__ void shared33(const float* x, float* y) { through_shared<33>(x, y); }
extern "C" __global__ void shared_wide(const float4* x, float4* y) { through_shared<1>(x, y); }
extern "C" __global__ void atomics(const float* x, float* y) { atomicAdd(y, x[threadIdx.x]); }
