// A pool of worker threads for one session. Work is split into numbered pieces whose content never depends on how
// many threads there are, so results have the same bits for any thread count. Every kernel includes this: it names no header
// that takes long to compile.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ultramem {

class Pool {
 public:
  // threads ≥ 1: the caller's thread works too. scratch_bytes: memory of each worker, 64-byte aligned.
  Pool(int threads, size_t scratch_bytes);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }
  // Memory of one worker; its content does not survive a parallel call.
  char* scratch(int worker) const { return scratch_ + scratch_stride_ * size_t(worker); }

  // Memory of all workers.
  size_t scratch_bytes() const { return scratch_stride_ * size_t(threads_); }

  // Wakes sleeping workers, who then wait for pieces awake a while: worth calling when a first parallel call is near, as
  // waking takes longer than many a piece.
  void rouse();

  // Runs body(piece, worker) for every piece in [0, pieces), each once, and returns when all are done.
  // Pieces are handed out dynamically; bodies must write disjoint memory, must not throw and must not call parallel.
  // One caller at a time.
  template <class Body>
  void parallel(int64_t pieces, const Body& body) {
    if (threads_ == 1 || pieces <= 1) {
      for (int64_t piece = 0; piece < pieces; piece++) run_piece<Body>(&body, piece, 0);
      return;
    }
    share_out(run_piece<Body>, &body, pieces);
  }

 private:
  using Run = void (*)(const void* body, int64_t piece, int worker);
  struct Workers;

  // The only copy of a body's code: a second, inlined elsewhere, may be compiled to other roundings.
  template <class Body>
  [[gnu::noipa]] static void run_piece(const void* body, int64_t piece, int worker) {
    (*static_cast<const Body*>(body))(piece, worker);
  }

  void share_out(Run run, const void* body, int64_t pieces);

  const int threads_;
  const size_t scratch_stride_;
  char* scratch_ = nullptr;
  Workers* workers_ = nullptr;
};

}  // namespace ultramem
