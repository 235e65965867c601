// Kernels without faults, one per thing that the emulator does.

template <int kWidth>
__device__ inline float warp_sum(float value) {
  for (int offset = kWidth / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

extern "C" __global__ void __launch_bounds__(128)
    add(const float* __restrict__ x, const float* __restrict__ y, float* __restrict__ z, const int* __restrict__ n) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < *n) z[i] = x[i] + y[i];
}

extern "C" __global__ void block_sum(const float* x, float* sums) {
  __shared__ float part[256];
  const unsigned t = threadIdx.x;
  part[t] = x[blockIdx.x * 256 + t];
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (t < half) part[t] += part[t + half];
    __syncthreads();
  }
  if (t == 0) sums[blockIdx.x] = part[0];
}

extern __shared__ unsigned char dynamic_shared[];

extern "C" __global__ void shuffle_sum(const float* x, float* sums) {
  float* part = reinterpret_cast<float*>(dynamic_shared);
  const float sum = warp_sum<32>(x[blockIdx.x * blockDim.x + threadIdx.x]);
  if (threadIdx.x % warpSize == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    const float total = warp_sum<32>(threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
  }
}

extern "C" __global__ void histogram(const int* x, int* counts, int* largest, float* total) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(&counts[x[i] & 7], 1);
  atomicMax(largest, x[i]);
  atomicAdd(total, 1.0f);
}

extern "C" __global__ void cube(unsigned* out) {
  const dim3 at(blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y * blockDim.y + threadIdx.y,
                blockIdx.z * blockDim.z + threadIdx.z);
  out[(at.z * gridDim.y * blockDim.y + at.y) * gridDim.x * blockDim.x + at.x] = at.x | at.y << 8 | at.z << 16;
}

extern "C" __global__ void votes(const int* x, unsigned* out) {
  const unsigned t = threadIdx.x;
  const int v = x[t];
  unsigned* mine = out + t * 16;
  mine[0] = __ballot_sync(0xffffffffu, v & 1);
  mine[1] = unsigned(__any_sync(0xffffffffu, v == 31));
  mine[2] = unsigned(__all_sync(0xffffffffu, v >= 0));
  mine[3] = __match_any_sync(0xffffffffu, v & 3);
  mine[4] = unsigned(__reduce_add_sync(0xffffffffu, v));
  mine[5] = unsigned(__reduce_min_sync(0xffffffffu, v - 40));
  mine[6] = unsigned(__shfl_up_sync(0xffffffffu, v, 3));
  mine[7] = unsigned(__shfl_down_sync(0xffffffffu, v, 3, 8));
  mine[8] = unsigned(__shfl_sync(0xffffffffu, v, 5, 16));
  mine[9] = unsigned(__shfl_xor_sync(0xffffffffu, (long long)v << 33, 1) >> 33);
  mine[10] = unsigned(__syncthreads_count(v & 1));
  mine[11] = unsigned(__syncthreads_and(v < 100));
  mine[12] = unsigned(__syncthreads_or(v == 7));
  mine[13] = unsigned(__shfl_xor_sync(0xffffffffu, double(v), 2));
  unsigned half = t % 32 < 16 ? 0xffffu : 0xffff0000u;
  if (t % 32 < 16) mine[14] = unsigned(__shfl_xor_sync(half, v, 1));
  else mine[14] = unsigned(__shfl_xor_sync(half, v, 2));
  __syncwarp();
  mine[15] = unsigned(__popc(__brev(unsigned(v))) + __clz(v) + __ffs(v) + max(v, 3) + int(fminf(1.0f, 2.0f)));
}
