// A device that is the CPU, running kernels thread by thread with all checks on. A finding fails the step. Counts what the
// kernels of a session do, and traces its launches, where it asks for it.
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
  // The program's last device leaves nothing behind.
  ~SimtDevice() override { simt::give_back(); }

  void* allocate(size_t bytes, const char* what) override { return simt::allocate(bytes, what); }
  void release(void* at) noexcept override { simt::release(at); }
  void upload(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    simt::written(to, bytes);
  }
  void download(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) override { upload(to, from, bytes); }
  void clear(void* at, size_t bytes) override {
    std::memset(at, 0, bytes);
    simt::written(at, bytes);
  }

  void observe(uint64_t session, const Observe& observe) override {
    const std::lock_guard<std::mutex> lock(observed_lock_);
    if (observe.counters) observed_[session] = {};
    if (!observe.trace.empty()) tracers_.emplace(session, observe.trace);
  }
  void begin_step(uint64_t session, const std::vector<int64_t>& symbols) override {
    if (SimtTracer* const tracer = found_in(tracers_, session)) tracer->begin_step(symbols);
  }

  void run(uint64_t session, int variant, const LaunchList& list, void* const* pointers, const volatile bool* cancel) override {
    simt::Options options;
    options.cancel = cancel;
    options.workers = int(std::thread::hardware_concurrency());
    std::vector<simt::Counters>* const noted = found_in(observed_, session);
    options.counters = noted != nullptr;
    if (noted != nullptr) noted->clear();
    SimtTracer* const tracer = found_in(tracers_, session);
    for (int i = 0; i < list.launch_count; i++) {
      if (cancel != nullptr && *cancel) return;
      const LaunchSpec& launch = list.launches[i];
      simt::Shape shape{};
      std::memcpy(shape.grid, launch.grid, sizeof shape.grid);
      std::memcpy(shape.block, launch.block, sizeof shape.block);
      shape.shared = launch.shared;
      std::vector<simt::Finding> findings;
      simt::Counters counters;
      if (tracer != nullptr) tracer->before(variant, list, i, pointers);
      simt::launch(kernels_[variant][i], shape, pointers + launch.first_arg, options, counters, findings);
      if (cancel != nullptr && *cancel) return;
      if (tracer != nullptr && findings.empty()) tracer->after();
      if (noted != nullptr) noted->push_back(counters);
      if (findings.empty()) continue;
      const simt::Finding& first = findings.front();
      throw Fault("kernel-finding", first.kind + " in " + first.kernel + ": " + first.message, launch.place);
    }
  }
  void close_session(uint64_t session) noexcept override {
    const std::lock_guard<std::mutex> lock(observed_lock_);
    observed_.erase(session);
    tracers_.erase(session);
  }
  std::vector<Counts> counters(uint64_t session) const override {
    std::vector<Counts> launches;
    const std::vector<simt::Counters>* const noted = found_in(observed_, session);
    if (noted == nullptr) return launches;
    for (const simt::Counters& c : *noted)
      launches.push_back({{"loadRequests", c.load_requests}, {"loadSectors", c.load_sectors}, {"bytesLoaded", c.bytes_loaded},
                          {"storeRequests", c.store_requests}, {"storeSectors", c.store_sectors}, {"bytesStored", c.bytes_stored},
                          {"distinctLoadSectors", c.distinct_load_sectors}, {"distinctStoreSectors", c.distinct_store_sectors},
                          {"sharedRequests", c.shared_accesses}, {"bankConflicts", c.bank_conflicts}, {"idleLanes", c.idle_lanes},
                          {"atomics", c.atomics}, {"barriers", c.barriers}, {"mma", c.mma}});
    return launches;
  }
  std::string name() const override { return "simt (kernels thread by thread on the CPU)"; }

 private:
  // Null: nobody asked. A map's elements stay where they are.
  template <class V>
  V* found_in(std::map<uint64_t, V>& all, uint64_t session) const {
    const std::lock_guard<std::mutex> lock(observed_lock_);
    const auto found = all.find(session);
    return found == all.end() ? nullptr : &found->second;
  }

  const simt::Kernel* const* kernels_;
  mutable std::mutex observed_lock_;
  mutable std::map<uint64_t, std::vector<simt::Counters>> observed_;  // launches of each session's last step
  std::map<uint64_t, SimtTracer> tracers_;
};

}  // namespace ultramem::addon
