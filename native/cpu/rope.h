// Rotary position embedding.
#pragma once
#include <cmath>

#include "extents.h"

namespace ultramem {

enum class RopeLayout { half, interleaved };

// Sine and cosine of n angles, absolute error below 1e-11 for |angle| up to 2^24; a loop the compiler vectorises.
inline void sine_cosine(const double* angle, double* sine, double* cosine, int64_t n) {
  // Round to a multiple of π/2 by adding a number whose last bit is 1 (1.5·2^52), then reduce with π/2 in two parts.
  constexpr double round = 6755399441055744.0;
  constexpr double two_over_pi = 0.63661977236758134308, high = 1.57079632673412561417, low = 6.07710050650619224932e-11;
  for (int64_t i = 0; i < n; i++) {
    const double shifted = angle[i] * two_over_pi + round;
    const double q = shifted - round;
    const double x = (angle[i] - q * high) - q * low;
    const double z = x * x;
    // Taylor terms: |x| ≤ π/4, so the first ones left out are below 1e-12.
    const double s = x + x * z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z * (1.0 / 39916800)))));
    const double c = 1 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * (1.0 / 479001600))))));
    // Quarter turns: q mod 4 as a double in {0, 1, 2, 3}.
    const double quarter = q * 0.25;
    const double turns = (quarter + round) - round;
    const double part = q - 4 * turns;  // -2, -1, 0, 1, 2
    const bool odd = part == 1 || part == -1;
    const double sine_part = odd ? c : s, cosine_part = odd ? s : c;
    const bool flip_sine = part == 2 || part == -2 || part == -1;
    const bool flip_cosine = part == 2 || part == -2 || part == 1;
    sine[i] = flip_sine ? -sine_part : sine_part;
    cosine[i] = flip_cosine ? -cosine_part : cosine_part;
  }
}

// x [T,H,D] (token stride ldx, heads contiguous), positions [T] → y [T,H,D]; y may be x. Pair i of a head turns by
// position * theta^(-2i/D); half: pair (i, i + D/2), interleaved: pair (2i, 2i + 1). D even.
template <int64_t H, int64_t D, RopeLayout Layout>
void rope(Pool& pool, int64_t T, const float* x, int64_t ldx, const int32_t* positions, double theta, float* y, int64_t ldy) {
  static_assert(D % 2 == 0, "rope turns pairs");
  constexpr int64_t pairs = D / 2;
  double frequency[pairs];
  const double step = -std::log(theta) / pairs;
  for (int64_t i = 0; i < pairs; i++) frequency[i] = std::exp(step * static_cast<double>(i));
  parallel_rows(pool, T, rows_per_piece(2 * H * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      double angle[pairs], wide_sine[pairs], wide_cosine[pairs];
      float sine[pairs], cosine[pairs];
      for (int64_t i = 0; i < pairs; i++) angle[i] = positions[t] * frequency[i];
      sine_cosine(angle, wide_sine, wide_cosine, pairs);
      for (int64_t i = 0; i < pairs; i++) sine[i] = static_cast<float>(wide_sine[i]);
      for (int64_t i = 0; i < pairs; i++) cosine[i] = static_cast<float>(wide_cosine[i]);
      for (int64_t h = 0; h < H; h++) {
        const float* from = x + t * ldx + h * D;
        float* to = y + t * ldy + h * D;
        constexpr bool half = Layout == RopeLayout::half;
        float first[pairs], second[pairs];  // read whole, as y may be x
        for (int64_t i = 0; i < pairs; i++) first[i] = from[half ? i : 2 * i];
        for (int64_t i = 0; i < pairs; i++) second[i] = from[half ? i + pairs : 2 * i + 1];
        for (int64_t i = 0; i < pairs; i++) to[half ? i : 2 * i] = first[i] * cosine[i] - second[i] * sine[i];
        for (int64_t i = 0; i < pairs; i++) to[half ? i + pairs : 2 * i + 1] = second[i] * cosine[i] + first[i] * sine[i];
      }
    }
  });
}

}  // namespace ultramem
