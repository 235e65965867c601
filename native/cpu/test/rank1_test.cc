// rank1: the first singular vectors of small cores, signs and scale included.
#include "../rank1.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// u, v must be unit vectors with C v = σ u, Cᵀ u = σ v, σ no less than what power iteration finds.
template <int64_t R>
static void check(bool positive) {
  const std::string name = "rank1 R=" + std::to_string(R);
  Random random{static_cast<uint64_t>(R * 2 + positive)};
  constexpr int64_t H = 40;
  std::vector<float> core(H * R * R);
  for (float& c : core) c = random.uniform(positive ? 0 : -1, 1);
  std::vector<float> zero(H * R, 0.f), u(H * R), v(H * R);
  Pool pool(1, 0);
  rank1<H, R>(pool, core.data(), zero.data(), zero.data(), u.data(), v.data());
  for (int64_t h = 0; h < H; h++) {
    const float *c = &core[h * R * R], *uh = &u[h * R], *vh = &v[h * R];
    double x[R], sigma = 0, sum = 0;
    for (int64_t i = 0; i < R; i++) x[i] = 1 + 0.1 * static_cast<double>(i);
    for (int n = 0; n < 5000; n++) {
      double y[R] = {}, z[R] = {}, length = 0;
      for (int64_t i = 0; i < R; i++)
        for (int64_t j = 0; j < R; j++) y[i] += static_cast<double>(c[i * R + j]) * x[j];
      for (int64_t i = 0; i < R; i++)
        for (int64_t j = 0; j < R; j++) z[j] += static_cast<double>(c[i * R + j]) * y[i];
      for (int64_t i = 0; i < R; i++) length += z[i] * z[i];
      length = std::sqrt(length);
      sigma = std::sqrt(length);
      for (int64_t i = 0; i < R; i++) x[i] = z[i] / length;
    }
    for (int64_t i = 0; i < R; i++) {
      double left = 0, right = 0;
      for (int64_t j = 0; j < R; j++) {
        left += static_cast<double>(c[i * R + j]) * vh[j];
        right += static_cast<double>(c[j * R + i]) * uh[j];
      }
      require(name, near(left, sigma * uh[i], 1e-6) && near(right, sigma * vh[i], 1e-6), "is no singular pair at head " + std::to_string(h));
      sum += uh[i];
    }
    require(name, sum > 0, "sign at head " + std::to_string(h));
  }
}

int main() {
  check<1>(false);
  check<2>(true);
  check<2>(false);
  check<3>(true);
  check<8>(false);
  Pool pool(1, 0);
  // Given vectors stay; one non-zero entry is enough. A zero core gives finite numbers. A tie looks at the first entry.
  const float core[12] = {1, 2, 3, 4, 0, 0, 0, 0, -1, 1, 1, -1}, u0[6] = {0, 0, 0, 0, 0, 0}, v0[6] = {0, -2, 0, 0, 0, 0};
  float u[6], v[6];
  rank1<3, 2>(pool, core, u0, v0, u, v);
  require("rank1 given", u[0] == 0 && u[1] == 0 && v[0] == 0 && v[1] == -2, "changed");
  require("rank1 zero", std::isfinite(u[2] + u[3] + v[2] + v[3]) && u[2] + u[3] > 0, "not finite");
  require("rank1 tie", u[4] > 0 && near(u[4], std::sqrt(0.5), 1e-6) && near(u[5], -std::sqrt(0.5), 1e-6) && v[4] < 0, "wrong sign");
  const float wrong[4] = {NAN, INFINITY, 1, 2};
  rank1<1, 2>(pool, wrong, u0, u0, u, v);  // must end
  return finish();
}
