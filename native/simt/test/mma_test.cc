// Products of mma.cu against loops, and how many were counted.
#include <bit>

#include "check.h"

extern "C" void product(const unsigned*, const unsigned*, float*);

static unsigned bits(float x) { return std::bit_cast<unsigned>(x) >> 16; }

int main() {
  constexpr int WARPS = 3;
  // Small integers: every sum is exact, and a wrong place shows.
  const auto value = [](int warp, int row, int k, int side) { return float((warp * 5 + row * 7 + k * 3 + side) % 17 - 8); };
  std::vector<unsigned> a(WARPS * 16 * 8), b(WARPS * 8 * 8);
  std::vector<float> y(WARPS * 16 * 8);
  const auto pack = [&](std::vector<unsigned>& to, int rows, int side) {
    for (int w = 0; w < WARPS; w++)
      for (int row = 0; row < rows; row++)
        for (int k = 0; k < 16; k += 2)
          to[size_t((w * rows + row) * 8 + k / 2)] = bits(value(w, row, k, side)) | bits(value(w, row, k + 1, side)) << 16;
  };
  pack(a, 16, 0);
  pack(b, 8, 11);
  for (size_t i = 0; i < y.size(); i++) y[i] = float(i);
  for (const bool checks : {false, true}) {
    Buffer<unsigned> left(a, "a"), right(b, "b");
    Buffer<float> sums(y, "y");
    const Run r = run(simt::kernel<product>("product", "model.ts:1:1"), {{1, 1, 1}, {WARPS * 32, 1, 1}, 0},
                      {checks, true, 1}, left.at, right.at, sums.at);
    clean(r, "product");
    check(r.counters.mma == WARPS, "one product counted per warp");
    for (int w = 0; w < WARPS; w++)
      for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
          const int at = (w * 16 + row) * 8 + column;
          float expected = float(at);
          for (int k = 0; k < 16; k++) expected += value(w, row, k, 0) * value(w, column, k, 11);
          check(sums.at[at] == expected, "product");
        }
  }
  return failures != 0;
}
