// Kernels with one fault each, on the line that says so, and their twins without it.

extern __shared__ unsigned char dynamic_shared[];

extern "C" __global__ void read_behind(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x + 1];  // fault: read_behind
}
extern "C" __global__ void read_behind_twin(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x < 63 ? threadIdx.x + 1 : 63];
}

extern "C" __global__ void write_before(const float* x, float* y) {
  (y - 1)[threadIdx.x] = x[threadIdx.x];  // fault: write_before
}
extern "C" __global__ void write_before_twin(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

extern "C" __global__ void null_pointer(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];  // fault: null_pointer
}
extern "C" __global__ void null_pointer_twin(const float* x, float* y) {
  if (x != nullptr) y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void shared_behind(const float* x, float* y) {
  float* tile = reinterpret_cast<float*>(dynamic_shared);
  tile[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x == 5) tile[64] = 1.0f;  // fault: shared_behind
  y[threadIdx.x] = tile[threadIdx.x];
}
extern "C" __global__ void shared_behind_twin(const float* x, float* y) {
  float* tile = reinterpret_cast<float*>(dynamic_shared);
  tile[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = tile[threadIdx.x];
}

extern "C" __global__ void misaligned(const float* x, float* y) {
  const float4* rows = reinterpret_cast<const float4*>(x + 2);
  if (threadIdx.x < 8) y[threadIdx.x] = rows[threadIdx.x].x + rows[threadIdx.x].w;
  if (threadIdx.x == 9) *reinterpret_cast<float4*>(y + 1) = make_float4(1, 2, 3, 4);  // fault: misaligned
}
extern "C" __global__ void misaligned_twin(const float* x, float* y) {
  const float4* rows = reinterpret_cast<const float4*>(x + 4);
  if (threadIdx.x < 8) y[threadIdx.x] = rows[threadIdx.x].x + rows[threadIdx.x].w;
  if (threadIdx.x == 9) *reinterpret_cast<float4*>(y + 12) = make_float4(1, 2, 3, 4);
}

extern "C" __global__ void misaligned_word(const float* x, float* y) {
  const char* bytes = reinterpret_cast<const char*>(x) + 2;
  y[threadIdx.x] = *reinterpret_cast<const float*>(bytes);  // fault: misaligned_word
}
extern "C" __global__ void misaligned_word_twin(const float* x, float* y) {
  const char* bytes = reinterpret_cast<const char*>(x) + 4;
  y[threadIdx.x] = *reinterpret_cast<const float*>(bytes);
}

// y is not filled.
extern "C" __global__ void unwritten(const float* x, float* y) {
  y[threadIdx.x] += x[threadIdx.x];  // fault: unwritten
}
extern "C" __global__ void unwritten_twin(const float* x, float* y) {
  y[threadIdx.x] = 0.0f;
  y[threadIdx.x] += x[threadIdx.x];
}

extern "C" __global__ void unwritten_shared(const float* x, float* y) {
  __shared__ float tile[64];
  if (threadIdx.x > 0) tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x ^ 1];  // fault: unwritten_shared
}
extern "C" __global__ void unwritten_shared_twin(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x ^ 1];
}

extern "C" __global__ void race(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = threadIdx.x > 0 ? tile[threadIdx.x - 1] : 0.0f;  // fault: race
}
extern "C" __global__ void race_twin(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = threadIdx.x > 0 ? tile[threadIdx.x - 1] : 0.0f;
}

extern "C" __global__ void race_after_read(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const float sum = tile[0] + tile[threadIdx.x];
  if (threadIdx.x == 31) tile[0] = sum;  // fault: race_after_read
  y[threadIdx.x] = sum;
}
extern "C" __global__ void race_after_read_twin(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const float sum = tile[0] + tile[threadIdx.x];
  __syncthreads();
  if (threadIdx.x == 31) tile[0] = sum;
  y[threadIdx.x] = sum;
}

extern "C" __global__ void race_in_warp(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x >= 32) __syncwarp();
  const float other = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
  y[threadIdx.x] = other + tile[threadIdx.x ^ 1];  // fault: race_in_warp
}
extern "C" __global__ void race_in_warp_twin(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  const float other = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
  y[threadIdx.x] = other + tile[threadIdx.x ^ 1];
}

// Halves of a warp that synchronise apart are ordered each in itself.
extern "C" __global__ void race_of_halves(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = 0.0f;
  __syncthreads();
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp(threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u);
  y[threadIdx.x] = tile[threadIdx.x ^ 16];  // fault: race_of_halves
}
extern "C" __global__ void race_of_halves_twin(const float* x, float* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = 0.0f;
  __syncthreads();
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp(threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u);
  y[threadIdx.x] = tile[threadIdx.x ^ 8];
}

// Two elements lie in a word.
extern "C" __global__ void race_of_neighbours(const float* x, float* y) {
  __shared__ unsigned short tile[64];
  const unsigned t = threadIdx.x;
  tile[t] = (unsigned short)(x[t]);
  __syncthreads();
  tile[t ^ 1] = (unsigned short)(tile[t] + 1);  // fault: race_of_neighbours
  __syncthreads();
  y[t] = float(tile[t]);
}
extern "C" __global__ void race_of_neighbours_twin(const float* x, float* y) {
  __shared__ unsigned short tile[64];
  const unsigned t = threadIdx.x;
  tile[t] = (unsigned short)(x[t]);
  __syncthreads();
  tile[t] = (unsigned short)(tile[t] + 1);
  __syncthreads();
  y[t] = float(tile[t]);
}

extern "C" __global__ void race_of_blocks(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x] + float(blockIdx.x);  // fault: race_of_blocks
}
extern "C" __global__ void race_of_blocks_twin(const float* x, float* y) {
  atomicAdd(&y[threadIdx.x & 0], x[threadIdx.x]);
}

extern "C" __global__ void early_return(const float* x, float* y) {
  if (threadIdx.x == 40) return;
  y[threadIdx.x] = x[threadIdx.x];
  __syncthreads();  // fault: early_return
}
extern "C" __global__ void early_return_twin(const float* x, float* y) {
  if (blockIdx.x == 1) return;
  y[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
}

extern "C" __global__ void two_barriers(const float* x, float* y) {
  if (x[threadIdx.x] < 32.0f) {
    y[threadIdx.x] = 1.0f;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2.0f;
    __syncthreads();  // fault: two_barriers
  }
}
extern "C" __global__ void two_barriers_twin(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x] < 32.0f ? 1.0f : 2.0f;
  __syncthreads();
}

extern "C" __global__ void absent_lane(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 32 == 7) return;
  v += __shfl_xor_sync(0xffffffffu, v, 1);  // fault: absent_lane
  y[threadIdx.x] = v;
}
extern "C" __global__ void absent_lane_twin(const float* x, float* y) {
  float v = x[threadIdx.x];
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  if (threadIdx.x % 32 == 7) v = 0.0f;
  y[threadIdx.x] = v;
}

extern "C" __global__ void inactive_source(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) v = __shfl_sync(0xffffu, v, 20);  // fault: inactive_source
  y[threadIdx.x] = v;
}
extern "C" __global__ void inactive_source_twin(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) v = __shfl_sync(0xffffu, v, 10);
  y[threadIdx.x] = v;
}

extern "C" __global__ void diverged_vote(const float* x, float* y) {
  y[threadIdx.x] = 0.0f;
  if (threadIdx.x % 32 < 16) {
    if (__any_sync(0xffffffffu, x[threadIdx.x] > 3.0f)) y[threadIdx.x] = 1.0f;  // fault: diverged_vote
  } else {
    __syncthreads();
  }
}
extern "C" __global__ void diverged_vote_twin(const float* x, float* y) {
  y[threadIdx.x] = 0.0f;
  if (threadIdx.x % 32 < 16 && __any_sync(0xffffu, x[threadIdx.x] > 3.0f)) y[threadIdx.x] = 1.0f;
  __syncthreads();
}

// A product of a warp counts on all its lanes.
#if defined(__CUDACC__)
__device__ void mma_bf16(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) {}
#endif
__device__ inline float product(float x) {
  float sum[4] = {};
  const unsigned a[4] = {__float_as_uint(x), 0, 0, 0}, b[2] = {0x3f803f80u, 0};
  mma_bf16(sum, a, b);
  return sum[0];
}

extern "C" __global__ void lane_left(const float* x, float* y) {
  if (threadIdx.x == 39) return;
  y[threadIdx.x] = product(x[threadIdx.x]);  // fault: lane_left
}
extern "C" __global__ void lane_left_twin(const float* x, float* y) {
  const float sum = product(x[threadIdx.x]);
  if (threadIdx.x != 39) y[threadIdx.x] = sum;
}

extern "C" __global__ void lane_apart(const float* x, float* y) {
  const unsigned t = threadIdx.x;
  y[t] = x[t];
  if (t != 9) y[t] = product(x[t]);  // fault: lane_apart
  __syncwarp();  // where thread 9 waits
}
extern "C" __global__ void lane_apart_twin(const float* x, float* y) {
  const unsigned t = threadIdx.x;
  const float sum = product(x[t]);
  y[t] = t != 9 ? sum : x[t];
  __syncwarp();
}

#if defined(__CUDACC__)
__device__ void cp_async16(void*, const void*) {}
__device__ void cp_async_commit() {}
template <int kGroups>
__device__ void cp_async_wait() {}
#endif

extern "C" __global__ void unawaited(const float* x, float* y) {
  __shared__ __align__(16) float tile[128];
  const unsigned t = threadIdx.x;
  for (unsigned half = 0; half < 2; half++) {
    if (t < 16) cp_async16(tile + half * 64 + t * 4, x + t * 4);
    cp_async_commit();
  }
  cp_async_wait<1>();
  __syncthreads();
  y[t] = tile[t ^ 1] + tile[64 + t];  // fault: unawaited
}
extern "C" __global__ void unawaited_twin(const float* x, float* y) {
  __shared__ __align__(16) float tile[128];
  const unsigned t = threadIdx.x;
  for (unsigned half = 0; half < 2; half++) {
    if (t < 16) cp_async16(tile + half * 64 + t * 4, x + t * 4);
    cp_async_commit();
  }
  cp_async_wait<1>();
  __syncthreads();
  const float first = tile[t ^ 1];
  cp_async_wait<0>();
  __syncthreads();
  y[t] = first + tile[64 + t];
}

extern "C" __global__ void awaited_by_one(const float* x, float* y) {
  __shared__ __align__(16) float tile[64];
  const unsigned t = threadIdx.x;
  if (t < 16) cp_async16(tile + t * 4, x + t * 4);
  cp_async_commit();
  cp_async_wait<0>();
  if (t >= 16) y[t] = tile[t];  // fault: awaited_by_one
}
extern "C" __global__ void awaited_by_one_twin(const float* x, float* y) {
  __shared__ __align__(16) float tile[64];
  const unsigned t = threadIdx.x;
  if (t < 16) cp_async16(tile + t * 4, x + t * 4);
  cp_async_commit();
  cp_async_wait<0>();
  if (t < 16) y[t] = tile[t * 4];
}
