// Asynchronous copies of a thread, made when they are waited for.
#pragma once
#include "access.h"

namespace ultramem::simt {

struct AsyncCopy {
  void* to;
  const void* from;
  size_t bytes, zeros;
  unsigned group;
};

struct Copies {
  std::vector<AsyncCopy> under_way;
  unsigned groups = 0;  // closed so far
};

// A block's copies that nobody waited for are gone.
inline void forget_copies(Worker& w) {
  if (!w.copying) return;
  w.copying = false;
  for (unsigned thread = 0; thread < kMaxThreads; thread++) w.copies[thread] = {};
}

inline void copy_async(Fiber& f, void* to, const void* from, size_t bytes, size_t zeros, const void* place) {
  Worker& w = *f.worker;
  if (!w.copies) w.copies = new Copies[kMaxThreads];
  w.copying = true;
  const Access read{reinterpret_cast<uintptr_t>(from), bytes - zeros, false, false, place};
  const Access write{reinterpret_cast<uintptr_t>(to), bytes, true, false, place};
  if (w.checking && write.at % bytes) refuse(w, f, write, Kind::misaligned);
  if (w.checking && read.at % bytes) refuse(w, f, read, Kind::misaligned);
  if (w.checking && write.at - w.shared >= w.shared_bytes) refuse(w, f, write, Kind::out_of_bounds);
  if (zeros < bytes) look(w, f, read);
  look(w, f, write);
  if (w.checking)
    for (uintptr_t offset = write.at - w.shared; offset < write.at - w.shared + bytes; offset += 4)
      w.cells[offset / 4].write |= uint64_t(1) << kPending;
  Copies& copies = w.copies[f.thread];
  copies.under_way.push_back({to, from, bytes, zeros, copies.groups});
}

inline void wait_for_copies(Fiber& f, unsigned groups, const void* place) {
  Worker& w = *f.worker;
  if (!w.copies) return;
  Copies& copies = w.copies[f.thread];
  size_t kept = 0;
  for (const AsyncCopy& copy : copies.under_way) {
    if (copy.group + groups >= copies.groups) {
      copies.under_way[kept++] = copy;
      continue;
    }
    std::memcpy(copy.to, copy.from, copy.bytes - copy.zeros);
    std::memset(static_cast<char*>(copy.to) + copy.bytes - copy.zeros, 0, copy.zeros);
    if (w.checking) check_words(w, f, {reinterpret_cast<uintptr_t>(copy.to), copy.bytes, true, false, place});
  }
  copies.under_way.resize(kept);
}

}  // namespace ultramem::simt
