// gather and gather_rows: rows asked for out of range are clamped, never read outside the table.
#include "../gather.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

static void rows(int64_t T) {
  Random random{static_cast<uint64_t>(T)};
  const auto table = random.floats(11 * 5);
  auto index = Rows<int32_t>::indices(random, T, 3, 11, 3);
  index.at(0, 1) = -4;
  index.at(T - 1, 2) = 1 << 30;
  const std::vector<int64_t> one = {3, -1, 11};
  const auto clamp = [](int64_t i) { return i < 0 ? 0 : i > 10 ? 10 : i; };
  for_thread_counts("gather_rows", 0, [&](Pool& pool) {
    Rows<float> y(T, 15, 3), z(3, 5, 3);
    gather_rows<11, 5, 3>(pool, T, table.data(), index.ptr(), index.stride, y.ptr(), y.stride);
    expect("gather_rows", y, 0, [&](int64_t t, int64_t j) { return table[clamp(index.at(t, j / 5)) * 5 + j % 5]; });
    gather_rows<11, 5, 1>(pool, 3, table.data(), one.data(), 1, z.ptr(), z.stride);
    expect("gather_rows i64", z, 0, [&](int64_t t, int64_t j) { return table[clamp(one[t]) * 5 + j]; });
    return bytes(y.data);
  });
}

static void labelled(int64_t T) {
  Random random{static_cast<uint64_t>(T + 1)};
  constexpr int64_t H = 2, N = 9, R = 3, D = 20, M = 4;
  // keys per head "hndr,thm->thmdr", take along "thnr,thm->thmr", shuffle "n,tr->tr"
  const auto keys = random.floats(H * N * D * R);
  const auto scores = Rows<float>::random(random, T, H * N * R, 3);
  auto index = Rows<int32_t>::indices(random, T, H * M, N, 3);
  index.at(0, 0) = -1;
  index.at(T - 1, H * M - 1) = N;
  std::vector<int32_t> table(50001);
  for (int32_t i = 0; i < 50001; i++) table[i] = (i * 7) % 50001;
  const auto places = random.indices(50001, 50001);
  const auto at = [&](int64_t t, int64_t hm) { return std::min<int64_t>(std::max(index.at(t, hm), 0), N - 1); };
  for_thread_counts("gather", 0, [&](Pool& pool) {
    Rows<float> k(T, H * M * D * R, 3), s(T, H * M * R, 3);
    gather<Ints<H, M, D, R>, Ints<N * D * R, 0, R, 1>, Ints<M, 1, 0, 0>, N, D * R>(pool, T, keys.data(), 0, index.ptr(), index.stride, k.ptr(), k.stride);
    expect("gather keys", k, 0, [&](int64_t t, int64_t j) { return keys[(j / (M * D * R) * N + at(t, j / (D * R))) * (D * R) + j % (D * R)]; });
    gather<Ints<H, M, R>, Ints<N * R, 0, 1>, Ints<M, 1, 0>, N, R>(pool, T, scores.ptr(), scores.stride, index.ptr(), index.stride, s.ptr(), s.stride);
    expect("gather along", s, 0, [&](int64_t t, int64_t j) { return scores.at(t, (j / (M * R) * N + at(t, j / R)) * R + j % R); });
    std::vector<int32_t> shuffled(50001);
    gather<Ints<50001>, Ints<0>, Ints<1>, 50001, 1>(pool, 1, table.data(), 0, places.data(), 0, shuffled.data(), 0);
    for (int64_t i = 0; i < 50001; i++) require("gather shuffle", shuffled[i] == table[places[i]], std::to_string(i));
    return bytes(k.data) + bytes(s.data) + bytes(shuffled);
  });
}

int main() {
  rows(1);
  rows(33);
  labelled(1);
  labelled(70);
  return finish();
}
