// elementwise: accuracy of the functions against f64, and broadcasting.
#include "../elementwise.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

// Largest relative error of f over [low, high] against want; results that f32 holds only as subnormals are passed over.
template <class F, class W>
static void accuracy(const char* name, double low, double high, double tolerance, const F& f, const W& want) {
  Random random{5};
  for (int n = 0; n < 200000 / LANES; n++) {
    Vec x;
    for (int i = 0; i < LANES; i++) x[i] = random.uniform(static_cast<float>(low), static_cast<float>(high));
    const Vec y = f(x);
    for (int i = 0; i < LANES; i++) {
      const double w = want(static_cast<double>(x[i]));
      if (std::fabs(w) < 1.2e-38 || std::fabs(w) > 3.4e38) continue;
      if (!(std::fabs(y[i] - w) <= tolerance * std::fabs(w)))
        fail(name, "(" + std::to_string(x[i]) + ") is " + std::to_string(y[i]) + ", want " + std::to_string(w));
    }
  }
}

static void functions() {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto gelu = [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); };
  for (const double range : {0.001, 1.0, 8.0, 110.0}) {
    accuracy("exp", -range, range, 2e-7, [](Vec x) { return fn::exp(x); }, [](double x) { return std::exp(x); });
    accuracy("sigmoid", -range, range, 2e-7, [](Vec x) { return fn::sigmoid(x); }, sigmoid);
    accuracy("silu", -std::fmin(range, 88), range, 2e-7, [](Vec x) { return fn::silu(x); }, [&](double x) { return x * sigmoid(x); });
    accuracy("tanh", -range, range, 2e-7, [](Vec x) { return fn::tanh(x); }, [](double x) { return std::tanh(x); });
    accuracy("gelu", -range, range, 5e-7, [](Vec x) { return fn::gelu(x); }, gelu);
    accuracy("log", 0, range, 2e-7, [](Vec x) { return fn::log(x); }, [](double x) { return std::log(x); });
    accuracy("rsqrt", 0, range, 2e-7, [](Vec x) { return fn::rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); });
  }
  const auto at = [](Vec y) { return static_cast<double>(y[0]); };
  require("exp", at(fn::exp(splat(INFINITY))) == INFINITY && at(fn::exp(splat(-INFINITY))) == 0, "wrong at infinity");
  require("tanh", at(fn::tanh(splat(INFINITY))) == 1 && at(fn::tanh(splat(-INFINITY))) == -1, "wrong at infinity");
  require("gelu", at(fn::gelu(splat(INFINITY))) == INFINITY && at(fn::gelu(splat(-INFINITY))) == 0, "wrong at infinity");
  for (const Vec y : {fn::exp(splat(NAN)), fn::sigmoid(splat(NAN)), fn::silu(splat(NAN)), fn::gelu(splat(NAN)), fn::tanh(splat(NAN)),
                      fn::relu(splat(NAN)), fn::max(splat(NAN), 1.f), fn::max(1.f, splat(NAN)), fn::min(splat(NAN), 1.f), fn::min(1.f, splat(NAN))})
    require("NaN", std::isnan(y[0]), "is lost");
}

// Broadcasting: a [T,3,37] of its own, b [T,3,1], c [37], d scalar.
static void broadcast(int64_t T) {
  Random random{static_cast<uint64_t>(T)};
  const std::string name = "map T=" + std::to_string(T);
  const auto a = Rows<float>::random(random, T, 3 * 37, 3), b = Rows<float>::random(random, T, 3, 1);
  const auto c = random.floats(37), d = random.floats(1);
  for_thread_counts(name, 0, [&](Pool& pool) {
    Rows<float> y(T, 3 * 37, 1), same = a;
    const auto f = [](auto p, auto q, auto r, auto s) { using namespace fn; return max(add(mul(p, q), sub(r, s)), -0.25f); };
    map<Ints<3, 37>>(pool, T, y.ptr(), y.stride, f, Operand<float, 37, 1>{a.ptr(), a.stride}, Operand<float, 1, 0>{b.ptr(), b.stride},
                     Operand<float, 0, 1>{c.data(), 0}, Operand<float, 0, 0>{d.data(), 0});
    expect(name, y, 2e-7, [&](int64_t t, int64_t j) { return std::fmax(a.at(t, j) * b.at(t, j / 37) + (c[j % 37] - d[0]), -0.25f); });
    map<Ints<3, 37>>(pool, T, same.ptr(), same.stride, [](auto p) { using namespace fn; return square(p); }, Operand<float, 37, 1>{same.ptr(), same.stride});
    expect(name + " in place", same, 0, [&](int64_t t, int64_t j) { return a.at(t, j) * a.at(t, j); });
    return bytes(y.data) + bytes(same.data);
  });
}

static void transposed_and_large() {
  Random random{9};
  const auto a = random.floats(40 * 50), big = random.floats(100003);
  for_thread_counts("map strided", 0, [&](Pool& pool) {
    Rows<float> y(1, 40 * 50, 3), z(1, 100003, 3);
    map<Ints<40, 50>>(pool, 1, y.ptr(), 0, [](auto p) { using namespace fn; return neg(p); }, Operand<float, 1, 40>{a.data(), 0});
    expect("map strided", y, 0, [&](int64_t, int64_t j) { return -a[j / 50 + j % 50 * 40]; });
    map<Ints<100003>>(pool, 1, z.ptr(), 0, [](auto p) { using namespace fn; return abs(p); }, Operand<float, 1>{big.data(), 0});
    expect("map large", z, 0, [&](int64_t, int64_t j) { return std::fabs(big[j]); });
    return bytes(y.data) + bytes(z.data);
  });
}

static void integers(int64_t T) {
  Random random{3};
  auto a = Rows<int32_t>::indices(random, T, 19, 2000001, 3), b = Rows<int32_t>::indices(random, T, 19, 50, 3);
  for (int64_t t = 0; t < T; t++)
    for (int64_t j = 0; j < 19; j++) a.at(t, j) -= 1000000, b.at(t, j) += 1;
  b.at(0, 0) = 0;  // ruled out by the graph; must not trap
  const auto floor_of = [](int32_t n, int32_t d) { return d > 0 ? static_cast<int32_t>(std::floor(static_cast<double>(n) / d)) : 0; };
  for_thread_counts("map int", 0, [&](Pool& pool) {
    Rows<int32_t> q(T, 19, 3), r(T, 19, 3), m(T, 19, 3);
    const Operand<int32_t, 1> pa{a.ptr(), a.stride}, pb{b.ptr(), b.stride};
    map<Ints<19>>(pool, T, q.ptr(), q.stride, [](auto x, auto y) { using namespace fn; return idiv(x, y); }, pa, pb);
    map<Ints<19>>(pool, T, r.ptr(), r.stride, [](auto x, auto y) { using namespace fn; return imod(x, y); }, pa, pb);
    map<Ints<19>>(pool, T, m.ptr(), m.stride, [](auto x, auto y) { using namespace fn; return sub(max(mul(x, y), x), 7); }, pa, pb);
    expect("idiv", q, 0, [&](int64_t t, int64_t j) { return floor_of(a.at(t, j), b.at(t, j)); });
    expect("imod", r, 0, [&](int64_t t, int64_t j) { return b.at(t, j) > 0 ? a.at(t, j) - floor_of(a.at(t, j), b.at(t, j)) * b.at(t, j) : 0; });
    expect("int max", m, 0, [&](int64_t t, int64_t j) { return std::max(a.at(t, j) * b.at(t, j), a.at(t, j)) - 7; });
    return bytes(q.data) + bytes(r.data) + bytes(m.data);
  });
}

int main() {
  functions();
  broadcast(1);
  broadcast(150);
  transposed_and_large();
  integers(4);
  return finish();
}
