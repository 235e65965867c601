// A product of bf16 tiles by a warp: what its lanes bring, put together, multiplied and handed back.
#pragma once
#include "block.h"

namespace ultramem::simt {

// As in cuda/mma.h: lane l has rows l / 4 and l / 4 + 8 of a and sum and column l / 4 of b; of the other axis, elements
// 2 (l % 4) and the next, of a and b those 8 further on too. Two bf16 in a word, the lower half first.
struct Fragments {
  float sum[4];
  uint32_t a[4], b[2];
};

inline float bf16_half(uint32_t pair, unsigned half) {
  return std::bit_cast<float>(half ? pair & 0xffff0000u : pair << 16);
}

// sum (16,8) += a (16,16) · b (16,8), each sum in f32 with k in order. Null: a lane that takes no part, zeros.
inline void multiply(Fragments* const (&lanes)[kWarp]) {
  float a[16][16] = {}, b[16][8] = {};
  for (unsigned lane = 0; lane < kWarp; lane++) {
    if (!lanes[lane]) continue;
    for (unsigned i = 0; i < 8; i++) {
      const unsigned k = lane % 4 * 2 + i / 4 * 8 + i % 2;
      a[lane / 4 + i / 2 % 2 * 8][k] = bf16_half(lanes[lane]->a[i / 2], i % 2);
      if (i < 4) b[lane % 4 * 2 + i / 2 * 8 + i % 2][lane / 4] = bf16_half(lanes[lane]->b[i / 2], i % 2);
    }
  }
  for (unsigned lane = 0; lane < kWarp; lane++) {
    if (!lanes[lane]) continue;
    for (unsigned i = 0; i < 4; i++)
      for (unsigned k = 0; k < 16; k++)
        lanes[lane]->sum[i] += a[lane / 4 + i / 2 * 8][k] * b[k][lane % 4 * 2 + i % 2];
  }
}

}  // namespace ultramem::simt
