// Kernels that touch every kind of memory that the emulator holds.
extern "C" __global__ void turn_around(const int* x, int* y) {
  __shared__ int part[64];
  const int i = int(threadIdx.x);
  part[i] = x[blockIdx.x * 64 + i];
  __syncthreads();
  y[blockIdx.x * 64 + i] = part[63 - i];
}

extern "C" __global__ void all_write_one(int* y) { y[0] = int(threadIdx.x); }
