// A kernel of a trace, for the program that runs its launches again.
#pragma once
#include "simt.h"

namespace ultramem::simt {

struct ReplayKernel {
  Kernel kernel;
  size_t parameters;
};

template <auto K>
ReplayKernel replayed(const char* name, const char* place) {
  return {kernel<K>(name, place), detail::Arity<decltype(K)>::size()};
}

// Of the trace, in the order that src/codegen/emit-replay.ts writes them.
extern const ReplayKernel replay_kernels[];
extern const int replay_kernel_count;

}  // namespace ultramem::simt
