// Gathers: rows of a table, and labelled gathers in general. Indices are clamped into range. A thread per element.
#pragma once
#include "elementwise.cuh"

namespace ultramem::cuda {

// table (N,D), index (rows,M) of row stride LDI → y (rows,M,D) of row stride LDY.
template <long long N, long long D, long long M, long long LDI, long long LDY, class E, class I, class Y>
__device__ inline void gather_rows(int rows, const E* table, const I* index, Y* y) {
  const long long number = thread_number();
  const long long row = number / (M * D), e = number % (M * D);
  if (row >= rows) return;
  y[row * LDY + e] = Convert<Y>::from(table[clamp_index(index[row * LDI + e / D], N) * D + e % D]);
}

// y[row, e…] = source[row · LDS + Σ e · SourceStrides + i · Stride], i = index[row · LDI + Σ e · IndexStrides] in [0, Count).
template <class Dims, long long Count, long long Stride, long long LDS, class SourceStrides, long long LDI, class IndexStrides,
          long long LDY, class E, class I, class Y>
__device__ inline void gather(int rows, const E* source, const I* index, Y* y) {
  const long long number = thread_number();
  const long long row = number / product_of<Dims>, e = number % product_of<Dims>;
  if (row >= rows) return;
  const long long i = clamp_index(index[row * LDI + Walk<Dims, IndexStrides>::at(e)], Count);
  y[row * LDY + e] = Convert<Y>::from(source[row * LDS + Walk<Dims, SourceStrides>::at(e) + i * Stride]);
}

}  // namespace ultramem::cuda
