// The emulator as one translation unit: launches, and what cuda.h and the compiler's instrumentation call.
#include "simt.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "async.h"
#include "report.h"

extern thread_local unsigned char dynamic_shared[];
alignas(16) thread_local unsigned char dynamic_shared[232448];

namespace ultramem::simt {

constexpr size_t kMostFindings = 20;

void note(Worker& w, const Raw& raw) {
  for (const Raw& known : w.findings)
    if (known.kind == raw.kind && known.place == raw.place) return;
  if (w.findings.size() >= kMostFindings) return;
  w.findings.push_back(raw);
  w.findings.back().block = w.block_number;
}

namespace {

std::timed_mutex one_launch;
Worker* workers[kMaxWorkers];

// From the beginning of a thread's variables, which are the shared memory of the blocks that it runs, to the dynamic part. Who asks
// first also finds the program, by variables of its own that are there.
uintptr_t dynamic_offset() {
  static const uintptr_t offset = [] {
    const uintptr_t dynamic = reinterpret_cast<uintptr_t>(dynamic_shared);
    return dynamic - program().tls;
  }();
  return offset;
}

size_t shared_cell_bytes() { return (program().tls_bytes + 64) / 4 * sizeof(Cell); }

Worker& worker(unsigned number) {
  if (!stacks_base) stacks_base = reinterpret_cast<uintptr_t>(reserve(kStacksBytes, kStackRegion));
  if (!workers[number]) {
    Worker* const w = new Worker{};
    workers[number] = w;
    w->number = number;
    w->time = number;
    w->sites = new Sites;
    w->stacks = reinterpret_cast<char*>(stacks_base) + number * kStackRegion * kMaxThreads;
  }
  Worker& w = *workers[number];
  if (!w.cells) w.cells = reinterpret_cast<Cell*>(reserve(shared_cell_bytes(), 4096));
  return w;
}

void find_shared(Worker& w) {
  w.dynamic = reinterpret_cast<uintptr_t>(dynamic_shared);
  w.shared = w.dynamic - dynamic_offset();
  w.shared_bytes = program().tls_bytes;
  w.dynamic_end = w.dynamic + w.launch->shape->shared;
  w.dynamic_limit = w.dynamic + sizeof dynamic_shared;
}

// All workers go on from the same time.
uint64_t next_time() {
  uint64_t time = 0;
  for (const Worker* w : workers)
    if (w) time = std::max(time, w->time / kTick * kTick);
  time += kTick;
  for (Worker* w : workers)
    if (w) w->time = time + w->number;
  return time;
}

bool is_set(const volatile bool* cancel) { return cancel && *cancel; }

void work(Worker& w) {
  Launch& launch = *w.launch;
  find_shared(w);
  while (!w.aborted() && !is_set(launch.options.cancel)) {
    const int64_t block = launch.next_block.fetch_add(1, std::memory_order_relaxed);
    if (block >= launch.blocks) break;
    const unsigned* grid = launch.shape->grid;
    w.block_number = block;
    w.block[0] = unsigned(block % grid[0]);
    w.block[1] = unsigned(block / grid[0] % grid[1]);
    w.block[2] = unsigned(block / grid[0] / grid[1]);
    forget_copies(w);
    run_block(w);
    if (w.counting) settle(w);
  }
}

}  // namespace

// A process may hold some ten thousands of mappings, of which a guarded stack is two, and has addresses for a thousand programs.
void give_back() {
  const std::unique_lock<std::timed_mutex> launching(one_launch, std::try_to_lock);
  if (!launching) return;
  Heap& h = heap();
  const std::lock_guard<std::mutex> lock(h.mutex);
  if (!h.used.empty()) return;
  for (Worker*& w : workers) {
    if (!w) continue;
    give_back(w->cells, shared_cell_bytes());
    delete[] w->copies;
    delete w->sites;
    delete w;
    w = nullptr;
  }
  char* stacks = reinterpret_cast<char*>(std::exchange(stacks_base, 0));
  give_back(stacks, kStacksBytes);
  give_back_global(h);
}

void launch(const Kernel& kernel, const Shape& shape, void* const* args, const Options& options, Counters& counters,
            std::vector<Finding>& findings) {
  std::unique_lock<std::timed_mutex> lock(one_launch, std::defer_lock);
  while (!lock.try_lock_for(std::chrono::milliseconds(10)))
    if (is_set(options.cancel)) return;
  dynamic_offset();
  Launch launch{&kernel, &shape, args, options};
  static uint32_t counted = 0;
  if (options.counters) {
    reserve_sectors();
    launch.number = ++counted;
  }
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
    w.findings.clear();
    w.checking = options.checks;
    w.counting = options.counters;
    prepare_fibers(w);
  }
  launch.first_time = next_time();
  std::vector<std::thread> others;
  try {
    for (unsigned i = 1; i < count; i++) others.emplace_back([i] { work(*workers[i]); });
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are run all blocks.
  }
  if (count) work(*workers[0]);
  for (std::thread& other : others) other.join();
  counters.launches++;
  size_t told = 0;
  std::set<std::pair<Kind, std::string>> places;
  for (unsigned i = 0; i < count; i++) {
    const Worker& w = *workers[i];
    add(counters, w.counters);
    for (const Raw& raw : w.findings) {
      if (told == kMostFindings || !places.emplace(raw.kind, program().line(raw.place)).second) continue;
      const std::string text = say(launch, w, raw);
      if (text.empty()) continue;
      const std::string launched = std::string(kernel.name) + " (" + kernel.place + "): ";
      findings.push_back({name_of(raw.kind), kernel.name, launched + text});
      told++;
    }
  }
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

struct SimtFragments : Fragments {};
void simt_mma(SimtFragments* lane) {
  Fiber& f = *here();
  const uint64_t at = reinterpret_cast<uint64_t>(static_cast<Fragments*>(lane));
  exchange(*f.worker, f, kMma, ~0u, at, 0, kWarp, __builtin_return_address(0));
}

// Lets the others go on: a thread may wait for what one of them writes.
void simt_yield(void) {
  Fiber& f = *here();
  make_ready(*f.worker, f.thread / kWarp, 1u << f.thread % kWarp);
  Fiber* next = next_ready(*f.worker, (f.thread + 1) % f.worker->threads);
  if (next != &f) switch_context(f.context, next->context);
}

void simt_copy_async(void* to, const void* from, size_t bytes, size_t zeros) {
  copy_async(*here(), to, from, bytes, zeros, __builtin_return_address(0));
}
void simt_copy_commit(void) {
  Fiber& f = *here();
  if (f.worker->copies) f.worker->copies[f.thread].groups++;
}
void simt_copy_wait(unsigned groups) { wait_for_copies(*here(), groups, __builtin_return_address(0)); }

void simt_trap(void) {
  Fiber& f = *here();
  abandon(*f.worker, f);
}

}  // extern "C"

#include "hooks.h"
