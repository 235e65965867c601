// Products of native/cuda/linear_mma.cuh: whole tiles, and shapes that fill none.
#include "cuda/linear_mma.cuh"

using namespace ultramem::cuda;

#define PRODUCT(name, X, Y, threads, ...)                                                                       \
  extern "C" __global__ void __launch_bounds__(threads)                                                         \
      name(const X* __restrict__ x, const BF16* __restrict__ w, Y* __restrict__ y, const int* __restrict__ rows) {\
    __VA_ARGS__(*rows, x, w, y);                                                                                \
  }

PRODUCT(whole_tiles, BF16, BF16, 128, linear_many_mma<512, 512, 512, 512, 64, 8, 8, 8>)
PRODUCT(large_tiles, BF16, float, 256, linear_many_mma<256, 64, 64, 256, 128, 8, 8, 4>)
PRODUCT(ragged_tiles, float, BF16, 128, linear_many_mma<77, 91, 93, 79, 64, 1, 1, 1>)
PRODUCT(ragged_large_tiles, float, float, 256, linear_many_mma<140, 44, 44, 142, 128, 4, 4, 2>)
PRODUCT(short_tiles, BF16, BF16, 128, linear_many_mma<24, 8, 16, 24, 64, 8, 8, 8>)
PRODUCT(few, BF16, BF16, 256, linear_few_mma<512, 512, 512, 512, 16, 8>)
PRODUCT(ragged_few, BF16, float, 128, linear_few_mma<99, 264, 272, 101, 7, 4>)
