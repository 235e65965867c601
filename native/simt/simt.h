// Runs kernels of a .cu on a CPU, thread by thread, with checks and counters: what a host program calls.
//
// A kernel's source is compiled as it is, by g++ (only compiled: never linked with the sanitizer's runtime, whose
// functions simt.cc supplies):
//     g++ -x c++ -std=c++20 -O1 -g -fsanitize=thread -fno-extern-tls-init -Inative -include simt/cuda.h -c
//         kernels.cu
// simt.cc is compiled without a sanitizer and linked into the same program or library as the kernels:
//     g++ -std=c++20 -O2 -Inative -pthread -c native/simt/simt.cc
// In a library, both with -fPIC -fvisibility=hidden: libraries loaded side by side must not share variables.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ultramem::simt {

struct Kernel {
  const char* name;
  const char* place;                // where the launch comes from: the line of a model, or anything worth telling
  void (*call)(void* const* args);  // runs the body of the current thread
};

namespace detail {
template <auto K, class... P, size_t... I>
[[gnu::no_sanitize("thread")]] inline void call(void (*)(P...), void* const* args, std::index_sequence<I...>) {
  K(static_cast<P>(args[I])...);
}
template <class F>
struct Arity;
template <class... P>
struct Arity<void (*)(P...)> : std::index_sequence_for<P...> {};
}  // namespace detail

// K: an extern "C" __global__ function whose parameters are all pointers.
template <auto K>
Kernel kernel(const char* name, const char* place) {
  return {name, place, [](void* const* args) { detail::call<K>(K, args, detail::Arity<decltype(K)>{}); }};
}

struct Shape {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared;  // bytes of dynamic shared memory
};

// Global memory. Nothing of it is written yet; memory on both sides of it is nobody's. what: its name in findings.
void* allocate(size_t bytes, const char* what);
void release(void* at);
// The host has filled it.
void written(void* at, size_t bytes);
// Ranges of it, from byte to byte, that neither the host nor a kernel has filled.
std::vector<std::pair<size_t, size_t>> unwritten(const void* at, size_t bytes);

// kind: out-of-bounds, misaligned, unwritten-read, race, divergent-barrier, unawaited-copy, inactive-lane
struct Finding {
  std::string kind;
  std::string kernel;
  std::string message;
};

// Requests: one per warp, code place and visit. Sectors: of 32 bytes, of every request; distinct ones count once in a launch.
// Bytes: as the threads asked for them.
struct Counters {
  uint64_t load_requests = 0, load_sectors = 0, bytes_loaded = 0;
  uint64_t store_requests = 0, store_sectors = 0, bytes_stored = 0;
  uint64_t distinct_load_sectors = 0, distinct_store_sectors = 0;
  uint64_t shared_accesses = 0, bank_conflicts = 0;  // requests, and the passes they need beyond one each
  uint64_t idle_lanes = 0;  // threads of the warp that took no part, over all requests: in another branch, or at their end
  uint64_t atomics = 0, barriers = 0, mma = 0, launches = 0;
};

struct Options {
  bool checks = true;
  bool counters = false;
  int workers = 1;  // blocks run on so many cores
  const volatile bool* cancel = nullptr;  // once it is set, blocks that have not begun are left out
};

// Runs all blocks. Adds to the counters and to the findings: at most 20, one per kind and code place. After an access
// that cannot be carried out, and after a deadlock, the rest of the launch is left out. One launch at a time.
void launch(const Kernel& kernel, const Shape& shape, void* const* args, const Options& options, Counters& counters,
            std::vector<Finding>& findings);

// Gives back what the program holds of the process, a hundred GiB of addresses and the stacks of threads, where no memory is
// allocated; what is allocated next takes it again. Does not wait for a launch, whose memory is allocated.
void give_back();

}  // namespace ultramem::simt
