// A block: its threads as fibers on one thread of the host, and everything in which they wait for each other.
#pragma once
#include <atomic>
#include <bit>
#include <cstring>
#include <vector>

#include "fiber.h"
#include "simt.h"

namespace ultramem::simt {

// As numbered in cuda/warp.h; its reductions lie between the last two.
enum WarpOp : int { kSync, kShfl, kShflUp, kShflDown, kShflXor, kBallot, kMatchAny, kMatchAll, kMma = 16 };

// Lanes of a warp that wait for the same exchange.
struct Group {
  unsigned mask;
  int op;
  unsigned arrived;
};

struct Lanes {
  uint64_t time[kWarp];
};

struct Warp {
  unsigned live;   // lanes that have not returned
  unsigned ready;  // lanes that can run
  unsigned groups;
  Group group[kWarp];
  uint64_t synced;  // accesses of its lanes before this time are ordered before those after it
  Lanes seen[kWarp];  // the same per pair of lanes, where only some of them synchronised
};

enum class Kind : uint8_t {
  out_of_bounds,
  misaligned,
  unwritten_read,
  race,
  divergent_barrier,
  unawaited_copy,
  inactive_lane,
};

// A finding as it is noticed: put into words when the launch is over.
struct Raw {
  Kind kind = Kind::race;
  const void* place = nullptr;  // a return address
  const void* other_place = nullptr;
  uintptr_t address = 0;
  size_t bytes = 0;
  int64_t block = -1, other_block = -1;  // -1: none, or unknown
  int thread = -1, other_thread = -1;
  bool write = false, other_write = false;
  const char* detail = nullptr;
};

// Times of two workers never meet: the low part is the worker.
inline constexpr uint64_t kTick = kMaxWorkers;

// What happened to a word of memory: its last write, and the first and one more of its reads since.
struct Cell {
  uint64_t write, read;
};

struct Copies;
struct Sites;

struct Launch {
  const Kernel* kernel;
  const Shape* shape;
  void* const* args;
  Options options;
  uint32_t number = 0;  // of the launches that count, from 1
  uint64_t first_time = 0;
  int64_t blocks = 0;
  std::atomic<int64_t> next_block{0};
  std::atomic<bool> aborted{false};
};

struct Worker {
  Context scheduler;
  Launch* launch;
  unsigned number;
  unsigned threads, warps;
  unsigned block[3];
  int64_t block_number;
  unsigned live;  // threads that have not returned
  // The barrier.
  unsigned waiting;
  int count;
  bool all, any, split;
  int op;
  int result[4];
  const void* barrier_place;
  unsigned barrier_thread;
  // Goes up by kTick where accesses become ordered: at barriers and where lanes synchronise.
  uint64_t time = 0;
  uint64_t first_time;    // of the block
  uint64_t barrier_time;  // of its last barrier
  Warp warp[kMaxThreads / kWarp];
  uint32_t ready_warps;
  char* stacks;
  unsigned prepared = 0;  // fibers that have a stack
  bool checking, counting;
  uintptr_t shared;     // the block's shared memory: this thread's own variables
  size_t shared_bytes;
  uintptr_t dynamic;       // its part whose size a launch says
  uintptr_t dynamic_end;   // of what the launch asked for
  uintptr_t dynamic_limit;
  Cell* cells = nullptr;   // of shared memory
  Copies* copies = nullptr;  // per thread
  bool copying = false;
  Sites* sites = nullptr;
  Counters counters;
  std::vector<Raw> findings;

  Fiber* fiber(unsigned thread) { return fiber_of(reinterpret_cast<uintptr_t>(stacks) + thread * kStackRegion); }
  bool aborted() const { return launch->aborted.load(std::memory_order_relaxed); }
};

// Notes a finding of the current block.
void note(Worker& w, const Raw& raw);

}  // namespace ultramem::simt
