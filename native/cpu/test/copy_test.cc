// copy: transposes, slices, joins and conversions between element types.
#include "../copy.h"

#include "check.h"

using namespace ultramem;
using namespace ultramem::test;

static void shapes(int64_t T) {
  Random random{static_cast<uint64_t>(T)};
  const auto x = Rows<float>::random(random, T, 4 * 5 * 6, 3);
  for_thread_counts("copy", 0, [&](Pool& pool) {
    Rows<float> transposed(T, 6 * 4 * 5, 3), sliced(T, 4 * 2 * 6, 3), joined(T, 4 * 9, 2), wide(T, 3 * 6, 3);
    copy<Ints<6, 4, 5>, Ints<1, 30, 6>, Ints<20, 5, 1>>(pool, T, x.ptr(), x.stride, transposed.ptr(), transposed.stride);
    expect("transpose", transposed, 0, [&](int64_t t, int64_t j) { return x.at(t, j / 20 + j / 5 % 4 * 30 + j % 5 * 6); });
    copy<Ints<4, 2, 6>, Ints<30, 6, 1>, Ints<12, 6, 1>>(pool, T, x.ptr() + 12, x.stride, sliced.ptr(), sliced.stride);
    expect("slice", sliced, 0, [&](int64_t t, int64_t j) { return x.at(t, j / 12 * 30 + 12 + j % 12); });
    // concat along the last axis: 6 and 3 columns
    copy<Ints<4, 6>, Ints<30, 1>, Ints<9, 1>>(pool, T, x.ptr(), x.stride, joined.ptr(), joined.stride);
    copy<Ints<4, 3>, Ints<30, 1>, Ints<9, 1>>(pool, T, x.ptr() + 6, x.stride, joined.ptr() + 6, joined.stride);
    expect("concat", joined, 0, [&](int64_t t, int64_t j) { return x.at(t, j / 9 * 30 + j % 9); });
    copy<Ints<3, 6>, Ints<0, 1>, Ints<6, 1>>(pool, T, x.ptr(), x.stride, wide.ptr(), wide.stride);
    expect("broadcast", wide, 0, [&](int64_t t, int64_t j) { return x.at(t, j % 6); });
    return bytes(transposed.data) + bytes(sliced.data);
  });
}

static void large() {
  Random random{2};
  const auto x = random.floats(70001);
  for_thread_counts("copy large", 0, [&](Pool& pool) {
    std::vector<float> y(70001);
    copy<Ints<70001>, Ints<1>, Ints<1>>(pool, 1, x.data(), 0, y.data(), 0);
    require("copy large", x == y, "differs");
    return bytes(y);
  });
}

// Every 16-bit pattern through f32 and back, and roundings against f64 arithmetic.
static void conversions() {
  for (uint32_t b = 0; b < 65536; b++) {
    const F16 h{static_cast<uint16_t>(b)};
    const int exponent = b >> 10 & 31, fraction = b & 1023;
    const double sign = b & 0x8000 ? -1 : 1;
    const double want = exponent == 31 ? (fraction ? NAN : sign * INFINITY)
                        : exponent ? sign * std::ldexp(1024 + fraction, exponent - 25) : sign * std::ldexp(fraction, -24);
    const float f = convert<float>(h);
    require("f16 → f32", near(f, want, 0) && std::signbit(f) == (sign < 0), std::to_string(b));
    if (!std::isnan(want)) require("f32 → f16", convert<F16>(f).bits == b, std::to_string(b));
    const float g = convert<float>(BF16{static_cast<uint16_t>(b)});
    if (!std::isnan(g)) require("bf16", convert<BF16>(g).bits == b, std::to_string(b));
  }
  require("NaN", std::isnan(convert<float>(convert<F16>(NAN))) && std::isnan(convert<float>(convert<BF16>(NAN))), "is lost");
  require("bf16 NaN", std::isnan(convert<float>(convert<BF16>(float_of_bits(0x7f800001u)))), "of low bits is lost");
  Random random{4};
  for (int i = 0; i < 100000; i++) {
    const float x = std::ldexp(random.uniform(), random.below(44) - 28);
    const int e16 = std::max(std::ilogb(x), -14) - 10, eb = std::ilogb(x) - 7;
    double w16 = std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(x), -e16)), e16);
    if (std::fabs(w16) >= 65536) w16 = std::copysign(INFINITY, w16);
    require("round to f16", near(convert<float>(convert<F16>(x)), w16, 0), std::to_string(x));
    const double wb = std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(x), -eb)), eb);
    require("round to bf16", near(convert<float>(convert<BF16>(x)), wb, 0), std::to_string(x));
  }
  require("f16 tie", convert<F16>(65519.f).bits == 0x7bff && convert<F16>(65520.f).bits == 0x7c00, "at the largest");
  require("to i32", convert<int32_t>(-1.9f) == -1 && convert<int32_t>(3e9f) == INT32_MAX && convert<int32_t>(-INFINITY) == INT32_MIN && convert<int32_t>(NAN) == 0, "wrong");
  require("to i64", convert<int64_t>(-1.9f) == -1 && convert<int64_t>(1e19f) == INT64_MAX && convert<int64_t>(3e9f) == 3000000000, "wrong");
  require("i64 → i32", convert<int32_t>(int64_t{-7}) == -7 && convert<float>(int64_t{1} << 40) == 0x1p40f, "wrong");
}

int main() {
  shapes(1);
  shapes(200);
  large();
  conversions();
  return finish();
}
