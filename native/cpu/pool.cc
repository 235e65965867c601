// See pool.h.
#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "pause.h"

namespace ultramem {

namespace {

constexpr int kSpins = 4096;
constexpr auto kTurn = std::chrono::microseconds(500);       // without a break, where others wait for a core
constexpr auto kSpinTime = std::chrono::microseconds(50);  // about the gap between two launches of a step

}  // namespace

struct Pool::Workers {
  explicit Workers(int count) : fills_machine(unsigned(count) + 1 >= std::thread::hardware_concurrency()) {
    threads.reserve(size_t(count));
    try {
      for (int worker = 1; worker <= count; worker++) threads.emplace_back([this, worker] { serve(worker); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Workers() { stop(); }

  void rouse() {
    if (!sleeping.exchange(false)) return;
    { std::lock_guard<std::mutex> lock(mutex); }
    wake.notify_all();
  }

  void share_out(Run what, const void* of, int64_t count) {
    run = what;
    body = of;
    pieces = count;
    unfinished.store(count, std::memory_order_relaxed);
    left.store(count);  // from here on, the fields above belong to whoever takes a piece
    rouse();
    while (work_one(0)) {
      if (fills_machine) give_way(turn);
    }
    for (int spin = 0; unfinished.load(std::memory_order_acquire) != 0; spin++) {
      if (spin < kSpins) pause();
      else std::this_thread::yield();  // a worker lost its core in the middle of a piece
    }
  }

  // Takes a piece and runs it; false when none is left. run, body and pieces are read only after a piece was taken:
  // until that piece is finished the caller cannot return, so they cannot change.
  bool work_one(int worker) {
    int64_t at = left.load(std::memory_order_acquire);
    do {
      if (at <= 0) return false;
    } while (!left.compare_exchange_weak(at, at - 1, std::memory_order_acq_rel, std::memory_order_acquire));
    run(body, pieces - at, worker);
    unfinished.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }

  using Clock = std::chrono::steady_clock;

  // Lets another thread have the core now and then: the system may let one that just woke up wait for milliseconds.
  static void give_way(Clock::time_point& since) {
    const Clock::time_point now = Clock::now();
    if (now - since < kTurn) return;
    std::this_thread::yield();
    since = now;
  }

  void serve(int worker) {
    Clock::time_point since = Clock::now();
    while (!stopping.load(std::memory_order_relaxed)) {
      if (work_one(worker)) {
        if (fills_machine) give_way(since);
        continue;
      }
      const auto until = Clock::now() + kSpinTime;
      bool idle = true;
      while (idle && Clock::now() < until)
        for (int i = 0; i < 32 && (idle = left.load(std::memory_order_relaxed) <= 0); i++) pause();
      if (idle) sleep();
    }
  }

  // Sequentially consistent on both sides: either the caller sees that somebody sleeps, or the worker sees the pieces.
  // May return for no reason.
  void sleep() {
    std::unique_lock<std::mutex> lock(mutex);
    sleeping.store(true);
    if (left.load() <= 0 && !stopping.load()) wake.wait(lock);
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stopping.store(true);
    }
    wake.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  const bool fills_machine;  // these threads and the caller take all cores
  Clock::time_point turn;    // of the caller: when it gave way last
  std::vector<std::thread> threads;
  Run run = nullptr;
  const void* body = nullptr;
  int64_t pieces = 0;
  // On lines of their own: workers spin on one while others count down the other.
  alignas(64) std::atomic<int64_t> left{0};
  alignas(64) std::atomic<int64_t> unfinished{0};
  alignas(64) std::atomic<bool> sleeping{false};  // somebody does, and nobody has roused them since
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable wake;
};

Pool::Pool(int threads, size_t scratch_bytes)
    : threads_(threads < 1 ? 1 : threads), scratch_stride_((scratch_bytes + 127) / 64 * 64) {
  std::unique_ptr<Workers> workers = std::make_unique<Workers>(threads_ - 1);
  scratch_ = static_cast<char*>(std::aligned_alloc(64, scratch_stride_ * size_t(threads_)));
  if (!scratch_) throw std::bad_alloc();
  workers_ = workers.release();
}

Pool::~Pool() {
  delete workers_;
  std::free(scratch_);
}

void Pool::rouse() { workers_->rouse(); }

void Pool::share_out(Run run, const void* body, int64_t pieces) { workers_->share_out(run, body, pieces); }

}  // namespace ultramem
