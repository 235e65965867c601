// Depthwise causal convolution over the tokens of each sequence; the latest K-1 inputs live in a window state.
#pragma once
#include <algorithm>

#include "extents.h"

namespace ultramem {

// x [T,D], w [D,K], positions [T], sequence [T], window [S,K-1,D] → y [T,D] (y must not be x):
// y[t] = Σ_j w[:,K-1-j] * (input of the same sequence at position p-j), zero before position 0.
// window[s, p mod (K-1)] holds the input at position p of the latest K-1. Tokens of a sequence stand in order, so the
// window is read and written token by token; columns are independent and are what is cut into pieces.
template <int64_t D, int64_t K>
void causal_conv(Pool& pool, int64_t T, const float* x, int64_t ldx, const float* w, const int32_t* positions,
                 const int32_t* sequence, float* window, float* y, int64_t ldy) {
  constexpr int64_t columns = D < 64 ? D : 64;
  if (T <= 0) return;
  const int64_t block = rows_per_piece(T * K * columns) * columns;  // few tokens: more columns in a piece
  parallel_rows(pool, D, block, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; c += columns) {
      const int64_t width = std::min(columns, end - c);
      float weight[K][columns] = {};  // [tap j back in time, column]
      for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j < K; j++) weight[j][i] = w[(c + i) * K + (K - 1 - j)];
      for (int64_t t = 0; t < T; t++) {
        const float* xt = x + t * ldx + c;
        float* yt = y + t * ldy + c;
        float sum[columns];
        for (int64_t i = 0; i < width; i++) sum[i] = weight[0][i] * xt[i];
        if constexpr (K > 1) {
          const int64_t p = positions[t];
          float* past = window + sequence[t] * ((K - 1) * D) + c;
          for (int64_t j = 1; j < K && j <= p; j++) {
            const float* at = past + (p - j) % (K - 1) * D;
            for (int64_t i = 0; i < width; i++) sum[i] += weight[j][i] * at[i];
          }
          float* latest = past + p % (K - 1) * D;
          for (int64_t i = 0; i < width; i++) latest[i] = xt[i];
        }
        for (int64_t i = 0; i < width; i++) yt[i] = sum[i];
      }
    }
  });
}

}  // namespace ultramem
