// Depthwise causal convolution over the tokens of each sequence; the latest K − 1 inputs live in a window state.
#pragma once
#include "floats.cuh"

namespace ultramem::cuda {

// x (rows,D), w (D,K), window (S,K−1,D) → y (rows,D): y[t] = Σ_j w[:,K−1−j] · input of the sequence at position p − j, zero
// before position 0; window[s, p mod (K−1)] holds the input at position p. A thread per column walks the tokens in order.
template <int D, int K, int LDX, int LDY, class X, class W, class S, class Y>
__device__ inline void causal_conv(int rows, const X* x, const W* w, const int* positions, const int* sequence, S* window, Y* y) {
  const int column = int(thread_number());
  if (column >= D) return;
  float weight[K];
#pragma unroll
  for (int j = 0; j < K; j++) weight[j] = load_float(w + column * K + (K - 1 - j));
  for (int t = 0; t < rows; t++) {
    const float input = load_float(x + (long long)(t) * LDX + column);
    float sum = weight[0] * input;
    if constexpr (K > 1) {
      const int position = positions[t];
      S* past = window + (long long)(sequence[t]) * ((K - 1) * D) + column;
#pragma unroll
      for (int j = 1; j < K; j++)
        if (j <= position) sum += weight[j] * load_float(past + (position - j) % (K - 1) * D);
      store_float(past + position % (K - 1) * D, input);
    }
    store_float(y + (long long)(t) * LDY + column, sum);
  }
}

// The same y for many tokens, a block per token: what the window would hold by then is looked for among the tokens before.
template <int D, int K, int LDX, int LDY, int THREADS, class X, class W, class S, class Y>
__device__ inline void causal_conv_many(int rows, const X* x, const W* w, const int* positions, const int* sequence,
                                        const S* window, Y* y) {
  constexpr int SLOTS = K > 1 ? K - 1 : 1;
  __shared__ int sources[K];  // by tap: the token that the window's input came from, or −1 for a former step's
  const int row = int(blockIdx.x), thread = int(threadIdx.x), lane = thread % 32;
  if (row >= rows) return;
  const int position = positions[row], of = sequence[row];
  for (int j = 1 + thread / 32; j < K && j <= position; j += THREADS / 32) {
    int source = -1;
    for (int first = row - 1; first >= 0 && source < 0; first -= 32) {
      const int before = first - lane;
      const bool same = before >= 0 && sequence[before] == of && positions[before] % SLOTS == (position - j) % SLOTS;
      const unsigned found = __ballot_sync(ALL_LANES, same);
      if (found != 0) source = first - (__ffs(int(found)) - 1);
    }
    if (lane == 0) sources[j] = source;
  }
  __syncthreads();
  const S* past = window + (long long)(of) * ((K - 1) * D);
  for (int column = thread; column < D; column += THREADS) {
    float sum = load_float(w + column * K + (K - 1)) * load_float(x + (long long)(row) * LDX + column);
#pragma unroll
    for (int j = 1; j < K; j++) {
      if (j > position) break;
      const int source = sources[j];
      const float input = source < 0 ? load_float(past + (position - j) % SLOTS * D + column)
                                     : load_float(x + (long long)(source) * LDX + column);
      sum += load_float(w + column * K + (K - 1 - j)) * input;
    }
    store_float(y + (long long)(row) * LDY + column, sum);
  }
}

// The window after many tokens: the last token of a place stays. A block per token.
template <int D, int K, int LDX, int THREADS, class X, class S>
__device__ inline void causal_conv_keep(int rows, const X* x, const int* positions, const int* sequence, S* window) {
  const int row = int(blockIdx.x);
  if (row >= rows || written_again<THREADS>(row, rows, positions, sequence, K - 1)) return;
  S* to = window + ((long long)(sequence[row]) * (K - 1) + positions[row] % (K - 1)) * D;
  for (int column = int(threadIdx.x); column < D; column += THREADS)
    store_float(to + column, load_float(x + (long long)(row) * LDX + column));
}

}  // namespace ultramem::cuda
