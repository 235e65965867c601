// Pages of mapped files that cannot be read any more, because another process shortened the file or its disk fails. The system
// answers a touch of one with SIGBUS, which would end the process. Here zeros take the place of such pages and the range is
// marked, so that whoever reads it goes on to a point where it can look at the mark and fail in order.
#pragma once
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace ultramem::addon {

// One mapped range. Lives for ever, for a signal may look at it at any time; used again once its range is gone.
struct WatchedRange {
  std::atomic<bool> taken{true};
  std::atomic<uint32_t> version{0};  // odd while the range changes
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> lost{false};
  WatchedRange* next = nullptr;
};

class LostPages {
 public:
  // From now on, and until forget, a lost page of [begin, end) marks the range. Both are multiples of a page.
  static WatchedRange* watch(const void* begin, const void* end) {
    static const bool installed = install();
    (void)installed;
    WatchedRange* range = take();
    range->lost = false;
    set(*range, reinterpret_cast<uintptr_t>(begin), reinterpret_cast<uintptr_t>(end));
    return range;
  }
  static void forget(WatchedRange* range) {
    set(*range, 0, 0);
    range->taken.store(false, std::memory_order_release);
  }

 private:
  static WatchedRange* take() {
    for (WatchedRange* range = first.load(std::memory_order_acquire); range != nullptr; range = range->next) {
      bool taken = false;
      if (range->taken.compare_exchange_strong(taken, true)) return range;
    }
    WatchedRange* range = new WatchedRange;
    range->next = first.load();
    while (!first.compare_exchange_weak(range->next, range)) {
    }
    return range;
  }

  static void set(WatchedRange& range, uintptr_t begin, uintptr_t end) {
    range.version.fetch_add(1);
    range.begin = begin;
    range.end = end;
    range.version.fetch_add(1);
  }

  static bool install() {
    page = uintptr_t(sysconf(_SC_PAGESIZE));
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &before) == 0;
  }

  // In a signal: nothing here takes a lock or memory of the heap.
  static void on_bus_error(int signal, siginfo_t* info, void* context) {
    const int error = errno;
    if (info->si_code == BUS_ADRERR && replace(uintptr_t(info->si_addr))) {
      errno = error;
      return;
    }
    if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) return before.sa_sigaction(signal, info, context);
    if ((before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    if (before.sa_handler == SIG_IGN && info->si_code <= 0) return;  // sent by a process, to one that ignores it
    // Ends the process as if nobody had asked for the signal.
    struct sigaction fatal;
    std::memset(&fatal, 0, sizeof fatal);
    fatal.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &fatal, nullptr);
    raise(SIGBUS);
  }

  // Zeros from the page at `at` to the end of its range: pages behind a lost one are lost as well, and each mapping counts
  // against a limit of the system.
  static bool replace(uintptr_t at) {
    for (WatchedRange* range = first.load(std::memory_order_acquire); range != nullptr; range = range->next) {
      const uint32_t version = range->version;
      const uintptr_t begin = range->begin, end = range->end;
      if (version % 2 != 0 || at < begin || at >= end || range->version != version) continue;
      const uintptr_t from = at / page * page;
      const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
      void* const zeros = reinterpret_cast<void*>(from);
      if (mmap(zeros, end - from, PROT_READ, flags, -1, 0) == MAP_FAILED) return false;
#ifdef MADV_HUGEPAGE
      madvise(zeros, end - from, MADV_HUGEPAGE);  // whoever reads all of it is soon done
#endif
      range->lost = true;
      return true;
    }
    return false;
  }

  static inline std::atomic<WatchedRange*> first{nullptr};
  static inline struct sigaction before;
  static inline uintptr_t page = 4096;
};

}  // namespace ultramem::addon
