// einsum against sums in f64, over views with any strides.
#include "../einsum.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

template <class Dims, int YRank, class A, class B>
static void check(const std::string& name, int64_t T, int64_t a_size, int64_t b_size, bool a_tokens, bool b_tokens) {
  Random random{static_cast<uint64_t>(T + a_size)};
  const auto a = Rows<float>::random(random, a_tokens ? T : 1, a_size, 3), b = Rows<float>::random(random, b_tokens ? T : 1, b_size, 3);
  int64_t columns = 1, terms = 1;
  for (int i = 0; i < Dims::rank; i++) (i < YRank ? columns : terms) *= Dims::value[i];
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, columns, 3);
    einsum<Dims, YRank, A, B>(pool, T, a.ptr(), a_tokens ? a.stride : 0, b.ptr(), b_tokens ? b.stride : 0, y.ptr(), y.stride);
    expect(name + " T=" + std::to_string(T), y, 1e-5, [&](int64_t t, int64_t j) {
      double sum = 0;
      for (int64_t k = 0; k < terms; k++) {
        int64_t rest = j * terms + k, ia = 0, ib = 0;
        for (int i = Dims::rank - 1; i >= 0; i--) {
          ia += rest % Dims::value[i] * A::value[i];
          ib += rest % Dims::value[i] * B::value[i];
          rest /= Dims::value[i];
        }
        sum += static_cast<double>(a.at(a_tokens ? t : 0, ia)) * b.at(b_tokens ? t : 0, ib);
      }
      return sum;
    });
    return bytes(y.data);
  });
}

int main() {
  for (const int64_t T : {1, 9}) {
    check<Ints<20, 33>, 1, Ints<0, 1>, Ints<33, 1>>("td,nd->tn", T, 33, 20 * 33, true, false);
    check<Ints<150, 33>, 1, Ints<0, 1>, Ints<1, 150>>("td,dn->tn", T, 33, 150 * 33, true, false);
    check<Ints<3, 50, 2>, 2, Ints<100, 2, 1>, Ints<2, 0, 1>>("thnr,hr->thn", T, 300, 6, true, false);
    check<Ints<2, 40, 7>, 2, Ints<7, 0, 1>, Ints<280, 1, 40>>("thd,hdn->thn", T, 14, 560, true, false);
    check<Ints<5, 100>, 2, Ints<1, 0>, Ints<0, 1>>("tm,tn->tmn", T, 5, 100, true, true);
    check<Ints<4, 70>, 0, Ints<70, 1>, Ints<1, 4>>("tmn,tnm->t", T, 280, 280, true, true);
    check<Ints<2, 3, 5>, 1, Ints<15, 0, 1>, Ints<5, 10, 1>>("labels of one operand", T, 35, 35, true, false);
  }
  check<Ints<30, 700, 20>, 2, Ints<20, 0, 1>, Ints<0, 1, 700>>("mk,kn->mn", 1, 600, 14000, false, false);
  return finish();
}
