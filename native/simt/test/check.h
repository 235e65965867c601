// What the tests of the emulator share: buffers, launches, and the count of what failed.
#pragma once
#include <cstdio>
#include <cstring>
#include <vector>

#include "simt/simt.h"

namespace simt = ultramem::simt;

inline int failures = 0;

inline void check(bool ok, const char* what) {
  if (ok) return;
  std::printf("failed: %s\n", what);
  failures++;
}

template <class T>
struct Buffer {
  T* at;
  size_t count;
  Buffer(size_t count, const char* what) : at(static_cast<T*>(simt::allocate(count * sizeof(T), what))), count(count) {}
  Buffer(const std::vector<T>& values, const char* what) : Buffer(values.size(), what) {
    std::memcpy(at, values.data(), count * sizeof(T));
    simt::written(at, count * sizeof(T));
  }
  ~Buffer() { simt::release(at); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};

struct Run {
  simt::Counters counters;
  std::vector<simt::Finding> findings;
};

template <class... P>
Run run(const simt::Kernel& kernel, const simt::Shape& shape, const simt::Options& options, P*... pointers) {
  Run out;
  void* args[] = {const_cast<void*>(static_cast<const void*>(pointers))...};
  simt::launch(kernel, shape, args, options, out.counters, out.findings);
  return out;
}

inline void clean(const Run& run, const char* what) {
  for (const simt::Finding& f : run.findings) std::printf("%s: %s: %s\n", what, f.kind.c_str(), f.message.c_str());
  check(run.findings.empty(), what);
}
