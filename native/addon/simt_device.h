// A device that is the CPU, running kernels thread by thread with all checks on. A finding fails the step. Traces the
// launches of sessions that ask for it.
#pragma once
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../simt/simt.h"
#include "device.h"
#include "fault.h"
#include "simt_tracer.h"

namespace ultramem::addon {

class SimtDevice : public Device {
 public:
  // kernels[variant][launch]
  explicit SimtDevice(const simt::Kernel* const* kernels) : kernels_(kernels) {}

  void* allocate(size_t bytes, const char* what) override { return simt::allocate(bytes, what); }
  void release(void* at) noexcept override { simt::release(at); }
  void upload(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    simt::written(to, bytes);
  }
  void download(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void clear(void* at, size_t bytes) override {
    std::memset(at, 0, bytes);
    simt::written(at, bytes);
  }

  void observe(uint64_t session, const Observe& observe) override {
    const std::lock_guard<std::mutex> lock(tracers_lock_);
    if (!observe.trace.empty()) tracers_.emplace(session, observe.trace);
  }
  void begin_step(uint64_t session, const std::vector<int64_t>& symbols) override {
    if (SimtTracer* const tracer = tracer_of(session)) tracer->begin_step(symbols);
  }

  void run(uint64_t session, int variant, const LaunchList& list, void* const* pointers, const volatile bool* cancel) override {
    static std::mutex one_at_a_time;  // of all sessions: simt runs one launch at a time
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    simt::Options options;
    options.workers = int(std::thread::hardware_concurrency());
    SimtTracer* const tracer = tracer_of(session);
    for (int i = 0; i < list.launch_count; i++) {
      if (cancel != nullptr && *cancel) return;
      const LaunchSpec& launch = list.launches[i];
      simt::Shape shape{};
      std::memcpy(shape.grid, launch.grid, sizeof shape.grid);
      std::memcpy(shape.block, launch.block, sizeof shape.block);
      shape.shared = launch.shared;
      std::vector<simt::Finding> findings;
      if (tracer != nullptr) tracer->before(variant, list, i, pointers);
      simt::launch(kernels_[variant][i], shape, pointers + launch.first_arg, options, counters_, findings);
      if (tracer != nullptr && findings.empty()) tracer->after();
      if (findings.empty()) continue;
      const simt::Finding& first = findings.front();
      throw Fault("kernel-finding", first.kind + " in " + first.kernel + ": " + first.message, launch.place);
    }
  }
  void close_session(uint64_t session) noexcept override {
    const std::lock_guard<std::mutex> lock(tracers_lock_);
    tracers_.erase(session);
  }
  std::string name() const override { return "simt (kernels thread by thread on the CPU)"; }

 private:
  // Null: nobody asked. A map's elements stay where they are.
  SimtTracer* tracer_of(uint64_t session) {
    const std::lock_guard<std::mutex> lock(tracers_lock_);
    const auto found = tracers_.find(session);
    return found == tracers_.end() ? nullptr : &found->second;
  }

  const simt::Kernel* const* kernels_;
  simt::Counters counters_;
  std::mutex tracers_lock_;
  std::map<uint64_t, SimtTracer> tracers_;
};

}  // namespace ultramem::addon
