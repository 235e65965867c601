// Leading singular vectors of each head's core (UltraMem §1, below the table).
#pragma once
#include <algorithm>
#include <cmath>

#include "extents.h"

namespace ultramem {

// Leading eigenvector (unit length) of the symmetric R×R matrix a, which is destroyed. Cyclic Jacobi rotations.
template <int64_t R>
inline void leading_eigenvector(double (&a)[R][R], double (&leading)[R]) {
  double vectors[R][R] = {};
  for (int64_t i = 0; i < R; i++) vectors[i][i] = 1;
  for (int sweep = 0; sweep < 60; sweep++) {
    double off = 0, diagonal = 0;
    for (int64_t i = 0; i < R; i++) {
      diagonal += a[i][i] * a[i][i];
      for (int64_t j = i + 1; j < R; j++) off += a[i][j] * a[i][j];
    }
    if (!(off > 1e-34 * diagonal)) break;  // also leaves on NaN
    for (int64_t p = 0; p < R; p++)
      for (int64_t q = p + 1; q < R; q++) {
        if (a[p][q] == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (int64_t k = 0; k < R; k++) {
          const double kp = a[k][p], kq = a[k][q];
          a[k][p] = c * kp - s * kq;
          a[k][q] = s * kp + c * kq;
        }
        for (int64_t k = 0; k < R; k++) {
          const double pk = a[p][k], qk = a[q][k];
          a[p][k] = c * pk - s * qk;
          a[q][k] = s * pk + c * qk;
        }
        for (int64_t k = 0; k < R; k++) {
          const double kp = vectors[k][p], kq = vectors[k][q];
          vectors[k][p] = c * kp - s * kq;
          vectors[k][q] = s * kp + c * kq;
        }
      }
  }
  int64_t best = 0;
  for (int64_t i = 1; i < R; i++)
    if (a[i][i] > a[best][best]) best = i;
  for (int64_t i = 0; i < R; i++) leading[i] = vectors[i][best];
}

// core [H,R,R], u0, v0 [H,R] → u, v [H,R]: (u0, v0) of a head where either has a non-zero entry; else the leading left
// and right singular vectors with Σu > 0 (tie: first non-zero entry of u positive).
template <int64_t H, int64_t R>
void rank1(Pool&, const float* core, const float* u0, const float* v0, float* u, float* v) {
  for (int64_t h = 0; h < H; h++) {
    const float* c = core + h * R * R;
    bool given = false;
    for (int64_t i = 0; i < R; i++) given = given || u0[h * R + i] != 0 || v0[h * R + i] != 0;
    if (given) {
      std::copy_n(u0 + h * R, R, u + h * R);
      std::copy_n(v0 + h * R, R, v + h * R);
      continue;
    }
    double gram[R][R], left[R], right[R] = {};
    for (int64_t i = 0; i < R; i++)
      for (int64_t j = 0; j < R; j++) {
        gram[i][j] = 0;
        for (int64_t k = 0; k < R; k++) gram[i][j] += static_cast<double>(c[i * R + k]) * c[j * R + k];
      }
    leading_eigenvector<R>(gram, left);
    // v = Cᵀu / σ. For a zero core any unit vectors do: the first axis.
    double sigma = 0;
    for (int64_t j = 0; j < R; j++) {
      for (int64_t i = 0; i < R; i++) right[j] += left[i] * c[i * R + j];
      sigma += right[j] * right[j];
    }
    sigma = std::sqrt(sigma);
    if (sigma > 0) {
      for (int64_t j = 0; j < R; j++) right[j] /= sigma;
    } else {
      right[0] = 1;
    }
    // Rounding must not decide a tie: entries and sums below 1e-12 count as zero.
    double sum = 0, first = 0;
    for (int64_t i = 0; i < R; i++) {
      sum += left[i];
      if (first == 0 && std::fabs(left[i]) > 1e-12) first = left[i];
    }
    const double sign = (std::fabs(sum) > 1e-12 ? sum : first) < 0 ? -1 : 1;
    for (int64_t i = 0; i < R; i++) {
      u[h * R + i] = static_cast<float>(sign * left[i]);
      v[h * R + i] = static_cast<float>(sign * right[i]);
    }
  }
}

}  // namespace ultramem
