// A thread of a block: its stack, its state at a fixed place of that stack, and the switch from one to another.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace ultramem::simt {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kMaxThreads = 1024;
inline constexpr unsigned kMaxWorkers = 64;

inline constexpr uintptr_t kStackRegion = 128 << 10;
// Stacks at equal places of their regions would fight for the same lines of a cache.
inline constexpr uintptr_t kColours = 64;
inline constexpr uintptr_t kColour = 512;
inline constexpr uintptr_t kStacksBytes = kStackRegion * kMaxThreads * kMaxWorkers;

struct Worker;

struct Context {
#if defined(__x86_64__)
  void* sp;
#else
  ucontext_t* ucontext;
#endif
};

struct Fiber {
  Context context;
  Worker* worker;
  unsigned index[3];  // threadIdx
  unsigned thread;    // linear in its block
  uint64_t result;    // of the exchange it waited for
  // What it waits for: set by itself, read by who completes it.
  const void* place;
  uint64_t value;
  int param;
  int width;
};
static_assert(sizeof(Fiber) <= kColour);

inline uintptr_t stack_pointer() {
  uintptr_t sp;
#if defined(__x86_64__)
  asm("movq %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
  asm("mov %0, sp" : "=r"(sp));
#else
  sp = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
#endif
  return sp;
}

inline Fiber* fiber_of(uintptr_t address_in_stack) {
  const uintptr_t region = address_in_stack & ~(kStackRegion - 1);
  const uintptr_t colour = region / kStackRegion % kColours;
  return reinterpret_cast<Fiber*>(region + kStackRegion - kColour * (colour + 1));
}

// All stacks of threads; none is made outside.
static uintptr_t stacks_base;

// Thread-local storage is a slow way to it inside a shared library.
inline Fiber* here() { return fiber_of(stack_pointer()); }

#if defined(__x86_64__)
extern "C" void simt_switch(void** save, void* load);
extern "C" void simt_start();
asm(R"(
.text
.p2align 4
.globl simt_switch
.hidden simt_switch
.type simt_switch, @function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch, .-simt_switch
.globl simt_start
.hidden simt_start
.type simt_start, @function
simt_start:
  callq *%rbx
  ud2
.size simt_start, .-simt_start
)");
#endif

inline void switch_context(Context& from, Context& to) {
#if defined(__x86_64__)
  simt_switch(&from.sp, to.sp);
#else
  swapcontext(from.ucontext, to.ucontext);
#endif
}

// `body` never returns.
inline void start_context(Fiber& fiber, void (*body)()) {
#if defined(__x86_64__)
  void** sp = reinterpret_cast<void**>(&fiber) - 2;  // 16-byte aligned where body is called
  *--sp = reinterpret_cast<void*>(simt_start);
  *--sp = nullptr;                         // rbp
  *--sp = reinterpret_cast<void*>(body);   // rbx
  for (int i = 0; i < 4; i++) *--sp = nullptr;
  fiber.context.sp = sp;
#else
  const uintptr_t region = reinterpret_cast<uintptr_t>(&fiber) & ~(kStackRegion - 1);
  if (!fiber.context.ucontext) fiber.context.ucontext = new ucontext_t;
  getcontext(fiber.context.ucontext);
  fiber.context.ucontext->uc_stack.ss_sp = reinterpret_cast<void*>(region + 4096);
  fiber.context.ucontext->uc_stack.ss_size = reinterpret_cast<uintptr_t>(&fiber) - region - 4096;
  fiber.context.ucontext->uc_link = nullptr;
  makecontext(fiber.context.ucontext, body, 0);
#endif
}

// Address space whose pages come into being when touched. alignment: a power of two of pages.
inline char* reserve(size_t bytes, size_t alignment) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* at = mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  char* const first = static_cast<char*>(at);
  char* const aligned = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(at) + alignment - 1) & ~(alignment - 1));
  if (aligned > first) munmap(first, size_t(aligned - first));
  munmap(aligned + bytes, size_t(first + alignment - aligned));
  madvise(aligned, bytes, MADV_DONTDUMP);
  return aligned;
}

// What reserve gave: its addresses are anybody's again. Null: nothing to give back.
template <class T>
void give_back(T*& at, size_t bytes) {
  if (at) munmap(at, bytes);
  at = nullptr;
}

}  // namespace ultramem::simt
