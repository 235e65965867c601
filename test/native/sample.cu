// native/cuda/sample.cuh over rows of several lengths, some with gaps between them.
#include "cuda/sample.cuh"

#define SAMPLE(N, LDX)                                                                                              \
  extern "C" __global__ void __launch_bounds__(256, 1)                                                              \
      sample_##N(const float* logits, const long long* choices, int* chosen, const int* rows) {                     \
    ultramem::cuda::sample<N, LDX>(*rows, logits, choices, chosen);                                                 \
  }

SAMPLE(1, 1)
SAMPLE(5, 8)
SAMPLE(257, 257)
SAMPLE(1000, 1003)
SAMPLE(50257, 50257)
