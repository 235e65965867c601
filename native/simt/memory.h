// Global memory: one range of addresses, with shadow at addresses that follow from its own.
#pragma once
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "block.h"

namespace ultramem::simt {

inline constexpr uintptr_t kGlobalBytes = uintptr_t(16) << 30;
inline constexpr size_t kGuard = 256;  // at least, on both sides of an allocation

// Per word of four bytes: which of them are allocated (high half) and which are written (low half).
struct Global {
  uintptr_t base = 0;
  uint8_t* state = nullptr;
  Cell* cells = nullptr;
  // Per sector of 32 bytes: the launch that last loaded or stored it. Reserved when something is counted first.
  uint32_t* loaded = nullptr;
  uint32_t* stored = nullptr;
};
static Global global;

inline void reserve_sectors() {
  if (!global.loaded) global.loaded = reinterpret_cast<uint32_t*>(reserve(kGlobalBytes / 8, 4096));
  if (!global.stored) global.stored = reinterpret_cast<uint32_t*>(reserve(kGlobalBytes / 8, 4096));
}

struct Allocation {
  size_t bytes;
  std::string what;
};

struct Heap {
  std::mutex mutex;
  std::map<uintptr_t, Allocation> used;
  std::map<uintptr_t, size_t> free;  // ranges by their first address; none before the first allocation
};
// Lives for ever: threads may run on while the process ends.
inline Heap& heap() {
  static Heap& h = *new Heap;
  return h;
}

// Under the heap's mutex.
inline void reserve_global(Heap& h) {
  if (global.base) return;
  if (!global.state) global.state = reinterpret_cast<uint8_t*>(reserve(kGlobalBytes / 4, 4096));
  if (!global.cells) global.cells = reinterpret_cast<Cell*>(reserve(kGlobalBytes * 4, 4096));
  global.base = reinterpret_cast<uintptr_t>(reserve(kGlobalBytes, 4096));
  h.free[global.base + 4096] = kGlobalBytes - 4096;
}

// Under the heap's mutex, when nothing is allocated.
inline void give_back_global(Heap& h) {
  h.free.clear();
  char* base = reinterpret_cast<char*>(std::exchange(global.base, 0));
  give_back(base, kGlobalBytes);
  give_back(global.state, kGlobalBytes / 4);
  give_back(global.cells, kGlobalBytes * 4);
  give_back(global.loaded, kGlobalBytes / 8);
  give_back(global.stored, kGlobalBytes / 8);
}

// Zeros, for which whole pages need no memory.
inline void forget(void* at, size_t bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(at), end = begin + bytes;
  const uintptr_t first = (begin + 4095) & ~uintptr_t(4095), last = end & ~uintptr_t(4095);
  if (last <= first || madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) {
    std::memset(at, 0, bytes);
    return;
  }
  std::memset(at, 0, first - begin);
  std::memset(reinterpret_cast<void*>(last), 0, end - last);
}

// Allocated, and written by nobody.
inline void set_allocated(uintptr_t at, size_t bytes) {
  uint8_t* state = global.state + (at - global.base) / 4;
  std::memset(state, 15 << 4, bytes / 4);
  if (bytes % 4) state[bytes / 4] = uint8_t(((1u << bytes % 4) - 1) << 4);
}

inline size_t range_of(size_t bytes) { return (bytes + 255) / 256 * 256 + kGuard; }

void* allocate(size_t bytes, const char* what) {
  Heap& h = heap();
  std::lock_guard<std::mutex> lock(h.mutex);
  reserve_global(h);
  const size_t range = range_of(bytes);
  for (auto it = h.free.begin(); it != h.free.end(); ++it) {
    if (it->second < range) continue;
    const uintptr_t at = it->first;
    const size_t left = it->second - range;
    h.free.erase(it);
    if (left) h.free[at + range] = left;
    h.used[at] = {bytes, what};
    set_allocated(at, bytes);
    return reinterpret_cast<void*>(at);
  }
  throw std::bad_alloc();
}

void release(void* pointer) {
  if (!pointer) return;
  Heap& h = heap();
  std::lock_guard<std::mutex> lock(h.mutex);
  uintptr_t at = reinterpret_cast<uintptr_t>(pointer);
  const auto found = h.used.find(at);
  if (found == h.used.end()) return;
  const size_t bytes = found->second.bytes;
  size_t range = range_of(bytes);
  const size_t word = (at - global.base) / 4, words = (bytes + 3) / 4;
  forget(pointer, bytes);
  forget(global.cells + word, words * sizeof(Cell));
  forget(global.state + word, words);
  h.used.erase(found);
  const auto after = h.free.lower_bound(at);
  if (after != h.free.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == at) {
      at = before->first;
      range += before->second;
      h.free.erase(before);
    }
  }
  const auto behind = h.free.find(at + range);
  if (behind != h.free.end()) {
    range += behind->second;
    h.free.erase(behind);
  }
  h.free[at] = range;
}

void written(void* at, size_t bytes) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(at);
  if (bytes == 0 || first - global.base >= kGlobalBytes) return;
  // Whole words in the middle; parts of words keep what they had.
  for (uintptr_t a = first; a < first + bytes;) {
    if (a % 4 == 0 && first + bytes - a >= 4) {
      const size_t words = (first + bytes - a) / 4;
      std::memset(global.state + (a - global.base) / 4, 0xff, words);
      a += words * 4;
    } else {
      global.state[(a - global.base) / 4] |= uint8_t(1u << a % 4);
      a++;
    }
  }
}

std::vector<std::pair<size_t, size_t>> unwritten(const void* at, size_t bytes) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(at) - global.base;
  std::vector<std::pair<size_t, size_t>> ranges;
  for (size_t i = 0; i < bytes; i++) {
    const uint8_t state = global.state[(first + i) / 4];
    if (state >> (first + i) % 4 & 1) continue;
    if (!ranges.empty() && ranges.back().second == i) ranges.back().second++;
    else ranges.emplace_back(i, i + 1);
  }
  return ranges;
}

}  // namespace ultramem::simt
