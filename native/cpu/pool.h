// A pool of worker threads for one session. Work is split into numbered pieces whose content never depends on how
// many threads there are, so results have the same bits for any thread count.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ultramem {

class Pool {
 public:
  // threads ≥ 1: the caller's thread works too. scratch_bytes: memory of each worker, 64-byte aligned.
  Pool(int threads, size_t scratch_bytes)
      : threads_(threads < 1 ? 1 : threads), scratch_stride_((scratch_bytes + 127) / 64 * 64) {
    scratch_ = static_cast<char*>(std::aligned_alloc(64, scratch_stride_ * size_t(threads_)));
    if (!scratch_) throw std::bad_alloc();
    workers_.reserve(size_t(threads_ - 1));
    try {
      for (int worker = 1; worker < threads_; worker++) workers_.emplace_back([this, worker] { serve(worker); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Pool() { stop(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }
  // Memory of one worker; its content does not survive a parallel call.
  char* scratch(int worker) const { return scratch_ + scratch_stride_ * size_t(worker); }

  // Wakes sleeping workers, who then wait for pieces awake a while: worth calling when a first parallel call is near, as
  // waking takes longer than many a piece.
  void rouse() {
    if (!sleeping_.exchange(false)) return;
    { std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_all();
  }

  // Runs body(piece, worker) for every piece in [0, pieces), each once, and returns when all are done.
  // Pieces are handed out dynamically; bodies must write disjoint memory, must not throw and must not call parallel.
  // One caller at a time.
  template <class Body>
  void parallel(int64_t pieces, const Body& body) {
    if (threads_ == 1 || pieces <= 1) {
      for (int64_t piece = 0; piece < pieces; piece++) run_piece<Body>(&body, piece, 0);
      return;
    }
    run_ = run_piece<Body>;
    body_ = &body;
    pieces_ = pieces;
    unfinished_.store(pieces, std::memory_order_relaxed);
    left_.store(pieces);  // from here on, the fields above belong to whoever takes a piece
    rouse();
    while (work_one(0)) {
    }
    for (int spin = 0; unfinished_.load(std::memory_order_acquire) != 0; spin++) {
      if (spin < kSpins) pause();
      else std::this_thread::yield();  // a worker lost its core in the middle of a piece
    }
  }

 private:
  static constexpr int kSpins = 4096;
  static constexpr auto kSpinTime = std::chrono::microseconds(50);  // about the gap between two launches of a step

  static void pause() {
#if defined(__SSE2__)
    _mm_pause();
#endif
  }

  // The only copy of a body's code: a second, inlined elsewhere, may be compiled to other roundings.
  template <class Body>
  [[gnu::noipa]] static void run_piece(const void* body, int64_t piece, int worker) {
    (*static_cast<const Body*>(body))(piece, worker);
  }

  // Takes a piece and runs it; false when none is left. run_, body_ and pieces_ are read only after a piece was taken:
  // until that piece is finished the caller cannot return, so they cannot change.
  bool work_one(int worker) {
    int64_t left = left_.load(std::memory_order_acquire);
    do {
      if (left <= 0) return false;
    } while (!left_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel, std::memory_order_acquire));
    run_(body_, pieces_ - left, worker);
    unfinished_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }

  void serve(int worker) {
    while (!stopping_.load(std::memory_order_relaxed)) {
      if (work_one(worker)) continue;
      const auto until = std::chrono::steady_clock::now() + kSpinTime;
      bool idle = true;
      while (idle && std::chrono::steady_clock::now() < until)
        for (int i = 0; i < 32 && (idle = left_.load(std::memory_order_relaxed) <= 0); i++) pause();
      if (idle) sleep();
    }
  }

  // Sequentially consistent on both sides: either the caller sees that somebody sleeps, or the worker sees the pieces.
  // May return for no reason.
  void sleep() {
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.store(true);
    if (left_.load() <= 0 && !stopping_.load()) wake_.wait(lock);
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_.store(true);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    std::free(scratch_);
    scratch_ = nullptr;
  }

  const int threads_;
  const size_t scratch_stride_;
  char* scratch_ = nullptr;
  std::vector<std::thread> workers_;

  void (*run_)(const void*, int64_t, int) = nullptr;
  const void* body_ = nullptr;
  int64_t pieces_ = 0;
  // On lines of their own: workers spin on one while others count down the other.
  alignas(64) std::atomic<int64_t> left_{0};
  alignas(64) std::atomic<int64_t> unfinished_{0};
  alignas(64) std::atomic<bool> sleeping_{false};  // somebody does, and nobody has roused them since
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace ultramem
