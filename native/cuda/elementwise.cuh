// Maps of any number of operands, and strided copies: a thread per element of the result.
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

// What an expression computes with: narrow floats as f32.
template <class E>
__device__ inline E operand_value(E x) {
  return x;
}
__device__ inline float operand_value(BF16 x) { return to_float(x); }
__device__ inline float operand_value(F16 x) { return to_float(x); }

// y (rows, Dims…) row-major inside a row of stride LDY.
template <class F, class Dims, long long LDY, class Y, class... Operands>
__device__ inline void elementwise(int rows, Y* y, const typename Operands::Element*... operands) {
  const long long number = thread_number();
  const long long row = number / product_of<Dims>, e = number % product_of<Dims>;
  if (row >= rows) return;
  const auto value = F::apply(operand_value(operands[Operands::template at<Dims>(row, e)])...);
  y[row * LDY + e] = Convert<Y>::from(value);
}

// x, y (rows, Dims…) by their strides.
template <class Dims, class X, long long LDX, class XStrides, class Y, long long LDY, class YStrides>
__device__ inline void copy(int rows, const X* x, Y* y) {
  const long long number = thread_number();
  const long long row = number / product_of<Dims>, e = number % product_of<Dims>;
  if (row >= rows) return;
  y[Operand<Y, LDY, YStrides>::template at<Dims>(row, e)] = Convert<Y>::from(x[Operand<X, LDX, XStrides>::template at<Dims>(row, e)]);
}

}  // namespace ultramem::cuda
