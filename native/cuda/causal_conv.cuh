// Depthwise causal convolution over the tokens of each sequence; the latest K − 1 inputs live in a window state.
#pragma once
#include "device.cuh"

namespace ultramem::cuda {

// x (rows,D), w (D,K), window (S,K−1,D) → y (rows,D): y[t] = Σ_j w[:,K−1−j] · input of the sequence at position p − j, zero
// before position 0; window[s, p mod (K−1)] holds the input at position p. A thread per column walks the tokens in order.
template <int D, int K, int LDX, int LDY>
__device__ inline void causal_conv(int rows, const float* x, const float* w, const int* positions, const int* sequence,
                                   float* window, float* y) {
  const int column = int(thread_number());
  if (column >= D) return;
  float weight[K];
#pragma unroll
  for (int j = 0; j < K; j++) weight[j] = w[column * K + (K - 1 - j)];
  for (int t = 0; t < rows; t++) {
    const float input = x[(long long)(t) * LDX + column];
    float sum = weight[0] * input;
    if constexpr (K > 1) {
      const int position = positions[t];
      float* past = window + (long long)(sequence[t]) * ((K - 1) * D) + column;
#pragma unroll
      for (int j = 1; j < K; j++)
        if (j <= position) sum += weight[j] * past[(position - j) % (K - 1) * D];
      past[position % (K - 1) * D] = input;
    }
    y[(long long)(t) * LDY + column] = sum;
  }
}

}  // namespace ultramem::cuda
