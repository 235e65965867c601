// Look-ups in tables of more than 2^31 elements, of bytes with a factor per row.
#include "cuda/gather.cuh"
#include "cuda/gather_dot.cuh"
#include "cuda/gather_pool.cuh"

using namespace ultramem::cuda;

constexpr int ROWS = 70000000, WIDTH = 32;

extern "C" __global__ void large_rows(const signed char* table, const int* index, signed char* y) {
  gather_rows<ROWS, WIDTH, 3, 3, 96>(1, table, index, y);
}
extern "C" __global__ void large_gather(const signed char* table, const int* index, signed char* y) {
  gather<Ints<3, WIDTH>, ROWS, WIDTH, 0, Ints<0, 1>, 3, Ints<1, 0>, 96>(1, table, index, y);
}
extern "C" __global__ void large_dot(const float* q, const signed char* keys, const int* index, float* y) {
  gather_dot<1, ROWS, 1, WIDTH, 3, 0, 0, WIDTH, 3, 3, 8>(1, q, keys, index, y);
}
extern "C" __global__ void large_pool(const signed char* table, const float* scale, const int* slot, const float* scores, float* y) {
  gather_pool<ROWS, WIDTH, 3, 1, 16, 3, 3, 512, 8, 8, 4>(1, table, scale, slot, scores, y);
}
extern "C" __global__ void large_pool_f8(const F8* table, const float* scale, const int* slot, const float* scores, float* y) {
  gather_pool<ROWS, WIDTH, 3, 1, 2, 3, 3, 64, 8, 1, 8>(1, table, scale, slot, scores, y);
}
// Every byte as the float that it stands for, one by one and in runs.
extern "C" __global__ void bytes_as_floats(const F8* from, float* single, float* run) {
  const int i = int(threadIdx.x) * 8;
  copy_floats<8>(run + i, from + i);
  for (int k = 0; k < 8; k++) single[i + k] = to_float(from[i + k]);
}
