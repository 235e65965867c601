// A thread that runs long work of an object, a load or the steps of a session, one at a time, and settles their promises on the event
// loop's thread. Not one of libuv's: those are few, shared with all file work of the process, take longer to wake than a short step
// takes to run, and are waited for when a process exits, whatever they are at.
#pragma once
#include "napi_settings.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "../cpu/pause.h"
#include "fault.h"
#include "napi_errors.h"

namespace ultramem::addon {

class WorkThread {
 public:
  using Body = std::function<void()>;

  // awake: after its work the thread waits for the next awake, for a while. Only where the session's threads leave a core free:
  // else it would keep the event loop's thread, or a worker, from the core that it waits on.
  WorkThread(Napi::Env env, bool awake) : env_(env), awake_(awake) {
    const Napi::String name = Napi::String::New(env, "ultramem work");
    const napi_status made =
        napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, settle, &settle_);
    if (made != napi_ok) throw Fault("native-failure", "Node gives no function for threads to call");
    napi_unref_threadsafe_function(env, settle_);  // without work in flight it keeps no process alive
    try {
      thread_ = std::thread([this] { serve(); });
    } catch (...) {
      napi_release_threadsafe_function(settle_, napi_tsfn_abort);
      throw;
    }
    // Hooks run last come first: before the one that ends settle_.
    napi_add_env_cleanup_hook(env, end, this);
  }
  ~WorkThread() {
    if (!thread_.joinable()) return;
    napi_remove_env_cleanup_hook(env_, end, this);
    stop();
  }
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  // Runs body, which ends soon once *cancel is set; one at a time. `settled` and then the promise follow on the event loop's
  // thread; `keep` are JavaScript values that stay alive until then.
  Napi::Promise run(Body body, std::shared_ptr<bool> cancel, Body settled, Napi::Object keep) {
    work_.reset(new Work{Napi::Promise::Deferred(env_), std::move(body), std::move(cancel), std::move(settled), Napi::Persistent(keep), {}});
    const Napi::Promise promise = work_->deferred.Promise();
    napi_ref_threadsafe_function(env_, settle_);
    tell(State::asked);
    return promise;
  }

 private:
  enum class State { idle, asked, stopping };
  struct Work {
    Napi::Promise::Deferred deferred;
    Body body;
    std::shared_ptr<bool> cancel;
    Body settled;
    Napi::ObjectReference keep;
    std::optional<Fault> fault;
  };

  static constexpr auto kAwake = std::chrono::microseconds(100);  // about what a program does between two steps

  // Sequentially consistent on both sides: either the thread sees the state, or this sees that it sleeps.
  void tell(State state) {
    state_.store(state);
    if (!sleeping_.load()) return;
    { std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_one();
  }

  void serve() {
    while (next() == State::asked) {
      work_->fault = fault_of(work_->body);
      State asked = State::asked;
      state_.compare_exchange_strong(asked, State::idle);  // unless it shall stop
      napi_call_threadsafe_function(settle_, nullptr, napi_tsfn_nonblocking);
    }
  }

  // Waits for something else than idle.
  State next() {
    if (awake_) {
      const auto until = std::chrono::steady_clock::now() + kAwake;
      while (std::chrono::steady_clock::now() < until) {
        for (int i = 0; i < 32; i++) {
          if (const State state = state_.load(std::memory_order_acquire); state != State::idle) return state;
          pause();
        }
      }
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.store(true);
    wake_.wait(lock, [&] { return state_.load() != State::idle; });
    sleeping_.store(false);
    return state_.load();
  }

  static void settle(napi_env env, napi_value, void* self, void*) {
    if (env == nullptr) return;  // the environment is gone, and its promises with it
    const std::unique_ptr<Work> work = std::move(static_cast<WorkThread*>(self)->work_);
    napi_unref_threadsafe_function(env, static_cast<WorkThread*>(self)->settle_);
    work->settled();  // may end this thread
    try {
      if (work->fault) work->deferred.Reject(error_of(env, *work->fault).Value());
      else work->deferred.Resolve(Napi::Env(env).Undefined());
    } catch (const Napi::Error& error) {
      error.ThrowAsJavaScriptException();
    }
  }

  static void end(void* self) {
    static_cast<WorkThread*>(self)->stop();
    static_cast<WorkThread*>(self)->work_.reset();
  }

  void stop() {
    if (work_) *static_cast<volatile bool*>(work_->cancel.get()) = true;
    tell(State::stopping);
    thread_.join();
    napi_release_threadsafe_function(settle_, napi_tsfn_abort);
  }

  const Napi::Env env_;
  const bool awake_;
  napi_threadsafe_function settle_ = nullptr;
  std::unique_ptr<Work> work_;  // the thread's while state_ is asked, else the event loop's
  std::atomic<State> state_{State::idle};
  std::atomic<bool> sleeping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace ultramem::addon
