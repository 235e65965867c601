// The emulator as one translation unit: launches, and what cuda.h and the compiler's instrumentation call.
#include "simt.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "access.h"

extern thread_local unsigned char dynamic_shared[];
alignas(16) thread_local unsigned char dynamic_shared[232448];

namespace ultramem::simt {

void note(Worker& w, const Raw& raw) {
  if (w.findings.size() < 64) w.findings.push_back(raw);
}

namespace {

std::mutex one_launch;
char* stacks;
Worker* workers[kMaxWorkers];

Worker& worker(unsigned number) {
  if (!stacks) stacks = reserve(kStacksBytes, kStackRegion);
  if (!workers[number]) {
    workers[number] = new Worker{};
    workers[number]->number = number;
    workers[number]->stacks = stacks + number * kStackRegion * kMaxThreads;
  }
  return *workers[number];
}

void work(Worker& w) {
  Launch& launch = *w.launch;
  while (!w.aborted()) {
    const int64_t block = launch.next_block.fetch_add(1, std::memory_order_relaxed);
    if (block >= launch.blocks) break;
    const unsigned* grid = launch.shape->grid;
    w.block_number = block;
    w.block[0] = unsigned(block % grid[0]);
    w.block[1] = unsigned(block / grid[0] % grid[1]);
    w.block[2] = unsigned(block / grid[0] / grid[1]);
    run_block(w);
  }
}

}  // namespace

void launch(const Kernel& kernel, const Shape& shape, void* const* args, const Options& options, Counters& counters,
            std::vector<Finding>& findings) {
  std::lock_guard<std::mutex> lock(one_launch);
  Launch launch{&kernel, &shape, args, options};
  launch.blocks = int64_t(shape.grid[0]) * shape.grid[1] * shape.grid[2];
  const unsigned threads = shape.block[0] * shape.block[1] * shape.block[2];
  if (threads == 0 || threads > kMaxThreads || shape.shared > sizeof dynamic_shared) {
    findings.push_back({"launch", kernel.name, "a block of this shape cannot run"});
    return;
  }
  const unsigned wanted = unsigned(options.workers < 1 ? 1 : options.workers);
  const unsigned count = unsigned(std::min<int64_t>(std::min(wanted, kMaxWorkers), launch.blocks));
  for (unsigned i = 0; i < count; i++) {
    Worker& w = worker(i);
    w.launch = &launch;
    w.threads = threads;
    w.warps = (threads + kWarp - 1) / kWarp;
    w.counters = {};
    prepare_fibers(w);
  }
  std::vector<std::thread> others;
  for (unsigned i = 1; i < count; i++) others.emplace_back([i] { work(*workers[i]); });
  if (count) work(*workers[0]);
  for (std::thread& other : others) other.join();
  counters.launches++;
}

}  // namespace ultramem::simt

using namespace ultramem::simt;

extern "C" {

__attribute__((const)) unsigned simt_index(int which) {
  const Fiber& f = *here();
  const Shape& shape = *f.worker->launch->shape;
  if (which < 3) return f.index[which];
  if (which < 6) return f.worker->block[which - 3];
  return which < 9 ? shape.block[which - 6] : shape.grid[which - 9];
}

int simt_barrier(int op, int value) {
  Fiber& f = *here();
  return barrier(*f.worker, f, op, value, __builtin_return_address(0));
}

unsigned long long simt_warp(int op, unsigned mask, unsigned long long value, int param, int width) {
  Fiber& f = *here();
  return exchange(*f.worker, f, op, mask, value, param, width, __builtin_return_address(0));
}

unsigned simt_active(void) {
  const Fiber& f = *here();
  return f.worker->warp[f.thread / kWarp].live;
}


// Lets the others go on: a thread may wait for what one of them writes.
void simt_yield(void) {
  Fiber& f = *here();
  make_ready(*f.worker, f.thread / kWarp, 1u << f.thread % kWarp);
  Fiber* next = next_ready(*f.worker, (f.thread + 1) % f.worker->threads);
  if (next != &f) switch_context(f.context, next->context);
}

void simt_trap(void) {
  Fiber& f = *here();
  abandon(*f.worker, f);
}

}  // extern "C"

#include "hooks.h"
