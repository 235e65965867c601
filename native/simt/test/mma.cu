// Products of bf16 tiles by a warp, in the layout of mma.sync.aligned.m16n8k16.

#if defined(__CUDACC__)
__device__ void mma_bf16(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) {}
#endif

// y (16,8) += a (16,16) · bᵀ with b (8,16), by every warp for itself; two bf16 in a word.
extern "C" __global__ void product(const unsigned* a, const unsigned* b, float* y) {
  const unsigned warp = threadIdx.x / 32, row = threadIdx.x % 32 / 4, pair = threadIdx.x % 4;
  a += warp * 16 * 8, b += warp * 8 * 8, y += warp * 16 * 8;
  const unsigned left[4] = {a[row * 8 + pair], a[(row + 8) * 8 + pair], a[row * 8 + pair + 4], a[(row + 8) * 8 + pair + 4]};
  const unsigned right[2] = {b[row * 8 + pair], b[row * 8 + pair + 4]};
  float sum[4];
  for (unsigned i = 0; i < 4; i++) sum[i] = y[(row + i / 2 * 8) * 8 + pair * 2 + i % 2];
  mma_bf16(sum, left, right);
  for (unsigned i = 0; i < 4; i++) y[(row + i / 2 * 8) * 8 + pair * 2 + i % 2] = sum[i];
}
