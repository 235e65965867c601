// The checks of one load or store.
#pragma once
#include "memory.h"
#include "program.h"
#include "schedule.h"

namespace ultramem::simt {

// A write in a cell: time | thread | bytes of the word | bytes written in this block (shared memory) | atomic |
// by a copy that is under way.
// A read: time | first thread | another thread | halves of the word that each read | other blocks read it too.
inline constexpr int kTime = 25, kThread = 15, kOther = 5, kFirstHalves = 3, kOtherHalves = 1;
inline constexpr unsigned kMask = 11, kValid = 7, kAtomic = 6, kPending = 5;

// Halves of a word, of 16 bits, that hold some of these bytes: two threads may share a word of narrow elements.
inline unsigned halves_of(unsigned mask) { return unsigned((mask & 3) != 0) | unsigned((mask & 12) != 0) << 1; }

// Whether an access of this launch by `thread` at `time` may come after what `f` does now.
inline bool unordered(const Worker& w, const Fiber& f, uint64_t time, unsigned thread) {
  if (time < w.first_time || (time ^ w.time) % kTick) return true;  // another block
  if (time < w.barrier_time || thread == f.thread) return false;
  if ((thread ^ f.thread) / kWarp) return true;
  const Warp& warp = w.warp[f.thread / kWarp];
  return time >= warp.synced && time >= warp.seen[f.thread % kWarp].time[thread % kWarp];
}

struct Access {
  uintptr_t at;
  size_t bytes;
  bool write, atomic;
  const void* place;
};

[[gnu::noinline]] inline void note_race(Worker& w, const Fiber& f, const Access& a, uint64_t time, int thread,
                                          bool write) {
  const bool own = time >= w.first_time && (time ^ w.time) % kTick == 0;
  note(w, {.kind = Kind::race, .place = a.place, .address = a.at, .bytes = a.bytes, .block = w.block_number,
           .other_block = own ? w.block_number : -1, .thread = int(f.thread), .other_thread = thread, .write = a.write,
           .other_write = write});
}

inline void check_read(Worker& w, const Fiber& f, Cell& cell, unsigned mask, uint64_t since, const Access& a) {
  const uint64_t write = cell.write;
  if (write >> kTime >= since && (write >> kMask & mask) && !(a.atomic && write >> kAtomic & 1)) [[unlikely]] {
    const unsigned thread = write >> kThread & 1023;
    if (unordered(w, f, write >> kTime, thread)) note_race(w, f, a, write >> kTime, int(thread), true);
  }
  if (a.atomic) return;
  const uint64_t read = cell.read;
  const uint64_t time = read >> kTime;
  const uint64_t halves = halves_of(mask);
  const uint64_t as_first = uint64_t(f.thread) << kThread | halves << kFirstHalves;
  const uint64_t as_other = uint64_t(f.thread) << kOther | halves << kOtherHalves;
  const uint64_t fresh = w.time << kTime | as_first | as_other;
  if (read == fresh) return;
  if (time < since || (time < w.barrier_time && time >= w.first_time && (time ^ w.time) % kTick == 0)) {
    cell.read = fresh | (time < since ? 0 : read & 1);
    return;
  }
  const unsigned first = read >> kThread & 1023, other = read >> kOther & 1023;
  if (time < w.first_time || (time ^ w.time) % kTick) {
    if (!(read & 1) && ((read >> kFirstHalves | read >> kOtherHalves) & halves)) cell.read = read | 1;
  } else if (first == f.thread || !unordered(w, f, time, first)) {
    if (other == first || other == f.thread) cell.read = fresh | (read & 1);
    else cell.read = (read & ~(uint64_t(1023) << kThread | 3 << kFirstHalves)) | as_first;
  } else {
    const uint64_t kept = other == f.thread ? read : read & ~(uint64_t(1023) << kOther | 3 << kOtherHalves);
    if ((kept | as_other) != read) cell.read = kept | as_other;
  }
}

inline void check_write(Worker& w, const Fiber& f, Cell& cell, unsigned mask, uint64_t since, const Access& a) {
  const uint64_t write = cell.write;
  const uint64_t read = cell.read;
  if (write >> kTime >= since && (write >> kMask & mask) && !(a.atomic && write >> kAtomic & 1)) {
    const unsigned thread = write >> kThread & 1023;
    if (unordered(w, f, write >> kTime, thread)) [[unlikely]] note_race(w, f, a, write >> kTime, int(thread), true);
  }
  const uint64_t halves = halves_of(mask);
  if (read >> kTime >= since && ((read >> kFirstHalves | read >> kOtherHalves) & halves)) {
    const uint64_t time = read >> kTime;
    const unsigned first = read >> kThread & 1023, other = read >> kOther & 1023;
    const bool of_first = read >> kFirstHalves & halves, of_other = read >> kOtherHalves & halves;
    if (of_first && unordered(w, f, time, first)) [[unlikely]] note_race(w, f, a, time, int(first), false);
    else if (other != first && of_other && unordered(w, f, time, other)) [[unlikely]]
      note_race(w, f, a, time, int(other), false);
    else if (read & 1) [[unlikely]] note_race(w, f, a, 0, -1, false);
  }
  // What is written of a shared word in this block, by whomever.
  const uint64_t valid = write >> kTime >= w.first_time ? (write >> kValid & 15) | mask : mask;
  cell.write = w.time << kTime | uint64_t(f.thread) << kThread | mask << kMask | valid << kValid |
               uint64_t(a.atomic) << kAtomic;
}

// An access that cannot be carried out.
[[noreturn, gnu::noinline]] inline void refuse(Worker& w, Fiber& f, const Access& a, Kind kind) {
  note(w, {.kind = kind, .place = a.place, .address = a.at, .bytes = a.bytes, .block = w.block_number,
           .thread = int(f.thread), .write = a.write});
  abandon(w, f);
}

[[gnu::noinline]] inline void note_unwritten(Worker& w, const Fiber& f, const Access& a) {
  note(w, {.kind = Kind::unwritten_read, .place = a.place, .address = a.at, .bytes = a.bytes, .block = w.block_number,
           .thread = int(f.thread)});
}

[[gnu::noinline]] inline void note_unawaited(Worker& w, const Fiber& f, const Access& a, int thread) {
  note(w, {.kind = Kind::unawaited_copy, .place = a.place, .address = a.at, .bytes = a.bytes,
           .thread = int(f.thread), .other_thread = thread});
}

// One word of global memory, or a part of it.
inline void check_global(Worker& w, Fiber& f, uintptr_t offset, unsigned mask, const Access& a) {
  uint8_t& state = global.state[offset / 4];
  if (state != 0xff || mask != 15) {
    if ((state >> 4 & mask) != mask) refuse(w, f, a, Kind::out_of_bounds);
    if ((state & mask) != mask) {
      if (!a.write || a.atomic) note_unwritten(w, f, a);
      if (mask == 15) state = 0xff;
      else if (a.write) __atomic_fetch_or(&state, uint8_t(mask), __ATOMIC_RELAXED);
    }
  }
  Cell& cell = global.cells[offset / 4];
  if (a.write) check_write(w, f, cell, mask, w.launch->first_time, a);
  else check_read(w, f, cell, mask, w.launch->first_time, a);
}

inline void check_shared(Worker& w, Fiber& f, uintptr_t offset, unsigned mask, const Access& a) {
  const uintptr_t at = w.shared + offset;
  if (at >= w.dynamic_end && at < w.dynamic_limit) refuse(w, f, a, Kind::out_of_bounds);
  Cell& cell = w.cells[offset / 4];
  if (!a.write || a.atomic) {
    const uint64_t write = cell.write;
    const bool of_block = write >> kTime >= w.first_time;
    const unsigned valid = of_block ? write >> kValid & 15 : 0;
    if ((valid & mask) != mask) [[unlikely]] note_unwritten(w, f, a);
    else if (write >> kPending & 1) [[unlikely]] note_unawaited(w, f, a, write >> kThread & 1023);
  }
  if (a.write) check_write(w, f, cell, mask, w.first_time, a);
  else check_read(w, f, cell, mask, w.first_time, a);
}

// Neither global nor shared memory, nor the thread's own stack: the program's constants are left.
[[gnu::noinline]] inline void check_other(Worker& w, Fiber& f, const Access& a) {
  if (a.write || !program().holds(a.at, a.bytes)) refuse(w, f, a, Kind::out_of_bounds);
}

inline void check_words(Worker& w, Fiber& f, const Access& a) {
  const bool in_global = a.at - global.base < kGlobalBytes;
  if (!in_global && a.at - w.shared >= w.shared_bytes) {
    if ((a.at ^ reinterpret_cast<uintptr_t>(&f)) & ~(kStackRegion - 1)) check_other(w, f, a);
    return;
  }
  uintptr_t offset = a.at - (in_global ? global.base : w.shared);
  for (size_t left = a.bytes; left;) {
    const size_t part = left < 4 - offset % 4 ? left : 4 - offset % 4;
    const unsigned mask = ((1u << part) - 1) << offset % 4;
    if (in_global) check_global(w, f, offset, mask, a);
    else check_shared(w, f, offset, mask, a);
    offset += part;
    left -= part;
  }
}

inline void look(Worker& w, Fiber& f, const Access& a) {
  if (w.checking) check_words(w, f, a);
  if (!w.counting || a.atomic) return;
  if (a.at - global.base < kGlobalBytes) count(w, f, a.at, a.bytes, a.write ? kGlobalStore : kGlobalLoad, a.place);
  else if (a.at - w.shared < w.shared_bytes) count(w, f, a.at, a.bytes, a.write ? kSharedStore : kSharedLoad, a.place);
}

inline bool in_kernel(uintptr_t sp) { return sp - stacks_base < kStacksBytes; }

template <bool write, unsigned bytes>
inline void access(const void* at, const void* place) {
  const uintptr_t sp = stack_pointer();
  if (!in_kernel(sp)) return;
  Fiber& f = *fiber_of(sp);
  Worker& w = *f.worker;
  const Access a{reinterpret_cast<uintptr_t>(at), bytes, write, false, place};
  if (w.checking && a.at % bytes && (bytes < 16 || a.at % 8 || (a.at ^ sp) & ~(kStackRegion - 1)))
    refuse(w, f, a, Kind::misaligned);
  look(w, f, a);
}

inline void access_range(const void* at, size_t bytes, bool write, const void* place) {
  const uintptr_t sp = stack_pointer();
  if (!in_kernel(sp)) return;
  Fiber& f = *fiber_of(sp);
  look(*f.worker, f, {reinterpret_cast<uintptr_t>(at), bytes, write, false, place});
}

inline void atomic(const void* at, unsigned bytes, bool write, const void* place) {
  const uintptr_t sp = stack_pointer();
  if (!in_kernel(sp)) return;
  Fiber& f = *fiber_of(sp);
  const Access a{reinterpret_cast<uintptr_t>(at), bytes, write, true, place};
  if (f.worker->checking && a.at % bytes) refuse(*f.worker, f, a, Kind::misaligned);
  f.worker->counters.atomics += write;
  look(*f.worker, f, a);
}

}  // namespace ultramem::simt
