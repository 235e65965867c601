// expert_groups against a sort by hand, expert_linear against sums in f64: experts that nobody or everybody chose among them.
#include "../expert_linear.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

enum class Choice { any, one, out_of_range };

template <int64_t E, int64_t N, int64_t D, int64_t K, class W>
static void check(int64_t T, Choice choice, bool shared) {
  const std::string name = std::string(sizeof(W) == 2 ? "bf16 " : "") + "expert_linear E=" + std::to_string(E) + " N=" + std::to_string(N) +
                           " D=" + std::to_string(D) + " K=" + std::to_string(K) + " T=" + std::to_string(T);
  Random random{uint64_t(E * 7 + N * 5 + D * 3 + K + T)};
  const auto x = Rows<float>::random(random, T, shared ? D : K * D, 3);
  auto exact = random.floats(E * N * D);
  const auto weights = stored_as<W>(exact);
  auto index = Rows<int32_t>::indices(random, T, K, choice == Choice::one ? 1 : E, 2);
  if (choice == Choice::one)
    for (int64_t t = 0; t < T; t++)
      for (int64_t k = 0; k < K; k++) index.at(t, k) = int32_t(E - 1);
  if (choice == Choice::out_of_range) index.at(0, 0) = -5, index.at(T - 1, K - 1) = INT32_MAX;
  const auto chosen = [&](int64_t pair) { return std::min<int64_t>(std::max(index.at(pair / K, pair % K), 0), E - 1); };
  std::vector<int64_t> counts(E);
  for (int64_t pair = 0; pair < T * K; pair++) counts[size_t(chosen(pair))]++;

  for_thread_counts(name, std::max(expert_groups_scratch<E>(), expert_linear_scratch<D, W>()), [&](Pool& pool) {
    std::vector<int32_t> groups(2 * (E + 1), -1), pairs(size_t(T * K), -1);
    expert_groups<E, K>(pool, T, index.ptr(), index.stride, groups.data(), pairs.data());
    int64_t group = 0, start = 0;
    for (int64_t e = 0; e < E; e++) {
      if (counts[size_t(e)] == 0) continue;
      require(name, groups[2 * group] == e && groups[2 * group + 1] == start, "group " + std::to_string(group));
      for (int64_t i = start; i < start + counts[size_t(e)]; i++) {
        require(name, chosen(pairs[size_t(i)]) == e, "a choice of another expert");
        require(name, i == start || pairs[size_t(i - 1)] < pairs[size_t(i)], "choices out of order");
      }
      start += counts[size_t(e)];
      group++;
    }
    for (; group <= E; group++) require(name, groups[2 * group] == E && groups[2 * group + 1] == T * K, "behind the groups");

    Rows<float> y(T, K * N);
    expert_linear<E, N, D, K>(pool, T, x.ptr(), x.stride, shared ? 0 : D, weights.data(), groups.data(), pairs.data(), y.ptr());
    expect(name, y, 1e-6 * double(D) + 1e-6, [&](int64_t t, int64_t j) {
      const int64_t k = j / N, n = j % N, e = chosen(t * K + k);
      const bool rounds = kMultipliesPairs && sizeof(W) == 2 && counts[size_t(e)] > EXPERT_TOKENS;
      double sum = 0;
      for (int64_t d = 0; d < D; d++) {
        const float value = x.at(t, (shared ? 0 : k * D) + d);
        sum += double(rounds ? to_float(to_bf16(value)) : value) * exact[size_t((e * N + n) * D + d)];
      }
      return sum;
    });
    return bytes(y.data) + bytes(pairs);
  });
}

template <class W>
static void check_all() {
  for (int64_t T : {1, 2, 5, 60}) {
    check<5, 37, 33, 2, W>(T, Choice::any, true);
    check<5, 37, 33, 2, W>(T, Choice::any, false);
    check<3, 64, 64, 3, W>(T, Choice::out_of_range, true);
    check<4, 100, 7, 1, W>(T, Choice::one, false);
  }
  check<1, 1, 1, 1, W>(1, Choice::any, true);
  check<9, 130, 161, 2, W>(120, Choice::one, true);  // several blocks of tokens
  check<40, 450, 17, 4, W>(30, Choice::any, false);  // large blocks of rows
}

int main() {
  check_all<float>();
  check_all<BF16>();
  return finish();
}
