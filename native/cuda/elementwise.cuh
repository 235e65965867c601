// Maps of any number of operands, strided copies, and loop nests of two operands: a thread per element of the result.
#pragma once
#include "convert.cuh"
#include "device.cuh"
#include "functions.cuh"

namespace ultramem::cuda {

// An operand: stride from row to row, strides over the axes inside a row.
template <class E, long long LD, class Strides>
struct Operand {
  using Element = E;
  template <class Dims>
  static __device__ long long at(long long row, long long e) {
    return row * LD + Walk<Dims, Strides>::at(e);
  }
};

// y (rows, Dims…) row-major inside a row of stride LDY.
template <class F, class Dims, long long LDY, class Y, class... Operands>
__device__ inline void elementwise(int rows, Y* y, const typename Operands::Element*... operands) {
  const long long number = thread_number();
  const long long row = number / product_of<Dims>, e = number % product_of<Dims>;
  if (row >= rows) return;
  y[row * LDY + e] = F::apply(operands[Operands::template at<Dims>(row, e)]...);
}

// x, y (rows, Dims…) by their strides.
template <class Dims, class X, long long LDX, class XStrides, class Y, long long LDY, class YStrides>
__device__ inline void copy(int rows, const X* x, Y* y) {
  const long long number = thread_number();
  const long long row = number / product_of<Dims>, e = number % product_of<Dims>;
  if (row >= rows) return;
  y[Operand<Y, LDY, YStrides>::template at<Dims>(row, e)] = Convert<Y>::from(x[Operand<X, LDX, XStrides>::template at<Dims>(row, e)]);
}

// y[row, kept…] = Σ over summed of a · b; strides over kept and summed axes, 0 where an operand has no such axis.
template <class Kept, class Summed, long long LDA, class AKept, class ASummed, long long LDB, class BKept, class BSummed,
          long long LDY>
__device__ inline void einsum(int rows, const float* a, const float* b, float* y) {
  const long long number = thread_number();
  const long long row = number / product_of<Kept>, e = number % product_of<Kept>;
  if (row >= rows) return;
  const float* from_a = a + row * LDA + Walk<Kept, AKept>::at(e);
  const float* from_b = b + row * LDB + Walk<Kept, BKept>::at(e);
  // Two levels of sums: the error grows with the root of the length.
  constexpr long long RUN = 64;
  float sum = 0;
  for (long long first = 0; first < product_of<Summed>; first += RUN) {
    float part = 0;
    for (long long s = first; s < first + RUN && s < product_of<Summed>; s++)
      part += from_a[Walk<Summed, ASummed>::at(s)] * from_b[Walk<Summed, BSummed>::at(s)];
    sum += part;
  }
  y[row * LDY + e] = sum;
}

}  // namespace ultramem::cuda
