// Which thread of a block runs: each until it waits. Barriers, and exchanges of a warp.
#pragma once
#include "counters.h"
#include "lanes.h"
#include "mma.h"

namespace ultramem::simt {

// The next fiber that can run: of the warp of `thread` first, whose stacks are in the cache. Null: none can.
inline Fiber* next_ready(Worker& w, unsigned thread) {
  unsigned n = thread / kWarp;
  if (!w.warp[n].ready) {
    w.ready_warps &= ~(1u << n);
    if (!w.ready_warps) return nullptr;
    n = unsigned(std::countr_zero(std::rotr(w.ready_warps, int(n))) + n) % 32;
  }
  Warp& warp = w.warp[n];
  const unsigned lane = n == thread / kWarp ? thread % kWarp : 0;
  const unsigned next = (unsigned(std::countr_zero(std::rotr(warp.ready, int(lane)))) + lane) % kWarp;
  warp.ready &= ~(1u << next);
  return w.fiber(n * kWarp + next);
}

inline void make_ready(Worker& w, unsigned warp, unsigned lanes) {
  if (!lanes) return;
  w.warp[warp].ready |= lanes;
  w.ready_warps |= 1u << warp;
}

// Leaves all fibers where they are.
[[noreturn]] inline void abandon(Worker& w, Fiber& f) {
  w.launch->aborted.store(true, std::memory_order_relaxed);
  switch_context(f.context, w.scheduler);
  __builtin_unreachable();
}

inline void release_barrier(Worker& w) {
  w.result[0] = 0;
  w.result[1] = w.count;
  w.result[2] = w.all;
  w.result[3] = w.any;
  w.waiting = 0;
  w.count = 0;
  w.all = true;
  w.any = w.split = false;
  w.barrier_time = w.time += kTick;
  w.counters.barriers++;
  if (w.counting) settle(w);
  for (unsigned n = 0; n < w.warps; n++) make_ready(w, n, w.warp[n].live);
}

// No thread can run: says why, and lets go on what can.
inline void unblock(Worker& w, Fiber& f) {
  if (w.waiting && w.waiting == w.live) {
    unsigned gone = 0;  // a thread that returned
    while (w.warp[gone / kWarp].live >> gone % kWarp & 1) gone++;
    unsigned stays = 0;
    while (!(w.warp[stays / kWarp].live >> stays % kWarp & 1)) stays++;
    note(w, {.kind = Kind::divergent_barrier, .place = w.barrier_place, .thread = int(stays), .other_thread = int(gone),
             .detail = "waits at a barrier that thread %s never reaches: it has returned"});
    release_barrier(w);
    return;
  }
  for (unsigned n = 0; n < w.warps; n++) {
    const Warp& warp = w.warp[n];
    for (unsigned g = 0; g < warp.groups; g++) {
      const Group& group = warp.group[g];
      const unsigned lane = unsigned(std::countr_zero(group.arrived));
      const unsigned missing = unsigned(std::countr_zero(group.mask & warp.live & ~group.arrived));
      const Fiber& other = *w.fiber(n * kWarp + missing % kWarp);
      note(w, {.kind = Kind::inactive_lane, .place = w.fiber(n * kWarp + lane)->place, .other_place = other.place,
               .thread = int(n * kWarp + lane), .other_thread = int(n * kWarp + missing % kWarp),
               .detail = "waits for thread %s, which its mask names and which waits elsewhere"});
      abandon(w, f);
    }
  }
  abandon(w, f);
}

// Waits until somebody makes the fiber ready.
inline void suspend(Worker& w, Fiber& f) {
  Fiber* next = next_ready(w, f.thread);
  if (!next) {
    unblock(w, f);
    next = next_ready(w, f.thread);
  }
  if (next == &f) return;
  switch_context(f.context, next->context);
}

inline int barrier(Worker& w, Fiber& f, int op, int value, const void* place) {
  f.place = place;
  if (!w.waiting) {
    w.barrier_place = place;
    w.op = op;
    w.barrier_thread = f.thread;
  } else if ((w.barrier_place != place || w.op != op) && !w.split) {
    w.split = true;
    note(w, {.kind = Kind::divergent_barrier, .place = place, .other_place = w.barrier_place, .thread = int(f.thread),
             .other_thread = int(w.barrier_thread), .detail = "waits at a barrier while thread %s waits at another"});
  }
  w.count += value != 0;
  w.all = w.all && value;
  w.any = w.any || value;
  w.waiting++;
  if (w.waiting == w.threads) {
    release_barrier(w);
    w.warp[f.thread / kWarp].ready &= ~(1u << f.thread % kWarp);
  } else {
    suspend(w, f);
  }
  return w.result[op];
}

// Orders what the lanes did before after each other.
inline void sync_lanes(Worker& w, unsigned n, unsigned lanes) {
  Warp& warp = w.warp[n];
  const uint64_t time = w.time += kTick;
  if (lanes == warp.live) {
    warp.synced = time;
    return;
  }
  uint64_t known[kWarp] = {};
  for (unsigned left = lanes; left; left &= left - 1) {
    const Lanes& seen = warp.seen[std::countr_zero(left)];
    for (unsigned lane = 0; lane < kWarp; lane++) known[lane] = std::max(known[lane], seen.time[lane]);
  }
  for (unsigned left = lanes; left; left &= left - 1) known[std::countr_zero(left)] = time;
  for (unsigned left = lanes; left; left &= left - 1)
    std::memcpy(warp.seen[std::countr_zero(left)].time, known, sizeof known);
}

// All lanes of the group have come: gives each what it asked for.
inline void complete(Worker& w, unsigned n, unsigned g) {
  Warp& warp = w.warp[n];
  const Group group = warp.group[g];
  warp.group[g] = warp.group[--warp.groups];
  const unsigned lanes = group.arrived;
  const auto fiber = [&](unsigned lane) { return w.fiber(n * kWarp + lane); };
  const unsigned first = unsigned(std::countr_zero(lanes));
  if (group.op != kSync && group.mask & ~lanes) {
    const unsigned gone = n * kWarp + unsigned(std::countr_zero(group.mask & ~lanes));
    note(w, {.kind = Kind::inactive_lane, .place = fiber(first)->place, .thread = int(n * kWarp + first),
             .other_thread = int(gone),
             .detail = gone < w.threads ? "has thread %s in its mask, which has returned"
                                        : "has thread %s in its mask, which the block does not have"});
  }
  uint64_t common = 0;
  if (group.op == kSync) {
    sync_lanes(w, n, lanes);
  } else if (group.op == kBallot) {
    for (unsigned left = lanes; left; left &= left - 1)
      common |= fiber(unsigned(std::countr_zero(left)))->value << std::countr_zero(left);
  } else if (group.op == kMatchAll) {
    common = lanes;
    for (unsigned left = lanes; left; left &= left - 1)
      if (fiber(unsigned(std::countr_zero(left)))->value != fiber(first)->value) common = 0;
  } else if (group.op == kMma) {
    Fragments* parts[kWarp] = {};
    for (unsigned left = lanes; left; left &= left - 1) {
      const unsigned lane = unsigned(std::countr_zero(left));
      parts[lane] = reinterpret_cast<Fragments*>(fiber(lane)->value);
    }
    multiply(parts);
    w.counters.mma++;
  } else if (group.op > kMatchAll) {
    common = fiber(first)->value;
    for (unsigned left = lanes & (lanes - 1); left; left &= left - 1)
      common = reduce_two(group.op, common, fiber(unsigned(std::countr_zero(left)))->value);
  }
  for (unsigned left = lanes; left; left &= left - 1) {
    const unsigned lane = unsigned(std::countr_zero(left));
    Fiber& f = *fiber(lane);
    f.result = common;
    if (group.op >= kShfl && group.op <= kShflXor) {
      const unsigned from = source_lane(group.op, lane, f.param, f.width);
      f.result = fiber(from)->value;
      if (!(lanes >> from & 1)) {
        f.result = f.value;
        note(w, {.kind = Kind::inactive_lane, .place = f.place, .thread = int(f.thread),
                 .other_thread = int(n * kWarp + from), .detail = "takes the value of thread %s, which takes no part"});
      }
    } else if (group.op == kMatchAny) {
      f.result = 0;
      for (unsigned l = lanes; l; l &= l - 1)
        if (fiber(unsigned(std::countr_zero(l)))->value == f.value) f.result |= l & -l;
    }
  }
  make_ready(w, n, lanes);
}

inline uint64_t exchange(Worker& w, Fiber& f, int op, unsigned mask, uint64_t value, int param, int width,
                         const void* place) {
  const unsigned n = f.thread / kWarp;
  const unsigned bit = 1u << f.thread % kWarp;
  Warp& warp = w.warp[n];
  f.place = place;
  f.value = value;
  f.param = param;
  f.width = width;
  if (!(mask & bit)) {
    note(w, {.kind = Kind::inactive_lane, .place = place, .thread = int(f.thread), .other_thread = -1,
             .detail = "is not in its own mask"});
    mask |= bit;
  }
  unsigned g = 0;
  while (g < warp.groups && (warp.group[g].mask != mask || warp.group[g].op != op)) g++;
  if (g == warp.groups) warp.group[warp.groups++] = {mask, op, 0};
  warp.group[g].arrived |= bit;
  if (warp.group[g].arrived == (mask & warp.live)) {
    complete(w, n, g);
    warp.ready &= ~bit;
  } else {
    suspend(w, f);
  }
  return f.result;
}

// The thread has returned.
[[noreturn]] inline void leave(Worker& w, Fiber& f) {
  const unsigned n = f.thread / kWarp;
  Warp& warp = w.warp[n];
  warp.live &= ~(1u << f.thread % kWarp);
  if (--w.live == 0) {
    switch_context(f.context, w.scheduler);
    __builtin_unreachable();
  }
  for (unsigned g = 0; g < warp.groups;)
    if (warp.group[g].arrived == (warp.group[g].mask & warp.live)) complete(w, n, g);
    else g++;
  suspend(w, f);
  __builtin_unreachable();
}

inline void run_thread() {
  Fiber& f = *here();
  Worker& w = *f.worker;
  w.launch->kernel->call(w.launch->args);
  leave(w, *here());
}

// Threads share a stack between blocks and launches; a page below each catches an overflow.
inline void prepare_fibers(Worker& w) {
  for (; w.prepared < w.threads; w.prepared++) {
    Fiber* f = w.fiber(w.prepared);
    mprotect(w.stacks + w.prepared * kStackRegion, 4096, PROT_NONE);
    f->worker = &w;
    f->thread = w.prepared;
  }
}

inline void run_block(Worker& w) {
  const Shape& shape = *w.launch->shape;
  w.first_time = w.barrier_time = w.time += kTick;
  w.live = w.threads;
  w.waiting = 0;
  w.count = 0;
  w.all = true;
  w.any = w.split = false;
  w.ready_warps = 0;
  for (unsigned n = 0; n < w.warps; n++) {
    Warp& warp = w.warp[n];
    const unsigned lanes = w.threads - n * kWarp;
    warp.live = lanes >= kWarp ? ~0u : (1u << lanes) - 1;
    warp.ready = 0;
    warp.groups = 0;
    warp.synced = 0;
    make_ready(w, n, warp.live);
  }
  unsigned thread = 0;
  for (unsigned z = 0; z < shape.block[2]; z++)
    for (unsigned y = 0; y < shape.block[1]; y++)
      for (unsigned x = 0; x < shape.block[0]; x++) {
        Fiber& f = *w.fiber(thread++);
        f.index[0] = x;
        f.index[1] = y;
        f.index[2] = z;
        start_context(f, run_thread);
      }
  switch_context(w.scheduler, next_ready(w, 0)->context);
}

}  // namespace ultramem::simt
