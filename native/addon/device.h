// Where a step runs when it is not the CPU: memory of its own, and launches handed over as emitted data. No napi and no CUDA
// header here; the kinds of device derive from Device.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fault.h"
#include "launch_list.h"

namespace ultramem::addon {

// What a session notes of its steps besides their outputs.
struct Observe {
  bool counters = false;  // of every launch of the last step
  std::string trace;      // folder that every launch's memory is written to, before and after; empty: none
};

// Counters of one launch, by name.
using Counts = std::vector<std::pair<const char*, uint64_t>>;

// Addresses on the device that a session's arguments are offsets into.
struct Spaces {
  void* const* inputs;
  void* const* outputs;
  void* const* weights;
  void* const* states;
  void* prepared;
  void* arena;
  void* tokens;
  void* choices = nullptr;
  void* chosen = nullptr;
};

inline void* resolve(const ArgSpec& arg, const Spaces& spaces) {
  void* base = nullptr;
  switch (arg.space) {
    case Space::none: return nullptr;
    case Space::input: base = spaces.inputs[arg.index]; break;
    case Space::output: base = spaces.outputs[arg.index]; break;
    case Space::weight: base = spaces.weights[arg.index]; break;
    case Space::state: base = spaces.states[arg.index]; break;
    case Space::prepared: base = spaces.prepared; break;
    case Space::arena: base = spaces.arena; break;
    case Space::tokens: base = spaces.tokens; break;
    case Space::choices: base = spaces.choices; break;
    case Space::chosen: base = spaces.chosen; break;
  }
  return static_cast<char*>(base) + arg.offset;
}

// What Device::run takes as `pointers`: for each of LaunchList::args its address.
inline std::vector<void*> resolve(const LaunchList& list, const Spaces& spaces) {
  std::vector<void*> pointers;
  for (int i = 0; i < list.launch_count; i++) {
    const LaunchSpec& launch = list.launches[i];
    for (int a = launch.first_arg; a < launch.first_arg + launch.arg_count; a++) {
      if (size_t(a) >= pointers.size()) pointers.resize(size_t(a) + 1);
      pointers[size_t(a)] = resolve(list.args[a], spaces);
    }
  }
  return pointers;
}

// Memory of the host that launches read where it lies.
struct InHost {
  void* host = nullptr;  // null: its contents come as those of other memory do
  void* device = nullptr;
};

// May be shared by threads; what one thread asks happens in its order, and is done when a call returns.
// No size is 0: DeviceMemory asks for nothing then.
class Device {
 public:
  virtual ~Device() = default;

  // Contents undefined, 256-byte aligned. Throws Fault out-of-memory, naming `what`.
  virtual void* allocate(size_t bytes, const char* what) = 0;
  virtual void release(void* at) noexcept = 0;
  // For what is larger than the device's memory, or read by few rows. Throws as allocate; a device of the host's own memory has
  // no other.
  virtual InHost allocate_in_host(size_t bytes, const char* what) { return {nullptr, allocate(bytes, what)}; }
  virtual void release_in_host(const InHost& at) noexcept { release(at.device); }
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  // Within the device; the two do not overlap.
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  // Zeros.
  virtual void clear(void* at, size_t bytes) = 0;

  // Runs a whole list and waits for it. `variant`: of the model, or their count for the list that chooses tokens. `pointers`:
  // see resolve; the same list with the same addresses at every call with one session and variant, so that a device may keep
  // what it made of them. `cancel` (may be null) is looked at where the device
  // can stop; what a cancelled step leaves in outputs is undefined.
  virtual void run(uint64_t session, int variant, const LaunchList& list, void* const* pointers,
                   const volatile bool* cancel) = 0;
  // The session of `run` has ended: what was kept for it goes.
  virtual void close_session(uint64_t session) noexcept = 0;
  uint64_t open_session() { return ++sessions_; }

  // What `run` notes for this session from now on. Throws Fault cannot-observe where this device cannot.
  virtual void observe(uint64_t, const Observe& observe) {
    if (observe.counters) throw Fault("cannot-observe", "kernels are counted by the simt target alone", name());
    if (!observe.trace.empty()) throw Fault("cannot-observe", "launches are traced by the simt target alone", name());
  }
  // Of every launch of the session's last step, in order.
  virtual std::vector<Counts> counters(uint64_t) const { return {}; }
  // The values of the model's symbols in the step that `run` is about to run.
  virtual void begin_step(uint64_t, const std::vector<int64_t>&) {}

  // For people: product and architecture.
  virtual std::string name() const = 0;

 private:
  std::atomic<uint64_t> sessions_{0};
};

// Memory on a device, released with its owner.
class DeviceMemory {
 public:
  enum class Where { device, host };

  DeviceMemory() = default;
  DeviceMemory(std::shared_ptr<Device> device, size_t bytes, const char* what, Where where = Where::device)
      : device_(std::move(device)), where_(where), bytes_(bytes) {
    if (bytes == 0) return;
    if (where == Where::host) at_ = device_->allocate_in_host(bytes, what);
    else at_.device = device_->allocate(bytes, what);
  }
  ~DeviceMemory() { release(); }
  DeviceMemory(DeviceMemory&& other) noexcept
      : device_(std::move(other.device_)),
        where_(other.where_),
        at_(std::exchange(other.at_, {})),
        bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    if (this == &other) return *this;
    release();
    device_ = std::move(other.device_);
    where_ = other.where_;
    at_ = std::exchange(other.at_, {});
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }

  void* data() const { return at_.device; }
  size_t bytes() const { return bytes_; }
  // Bytes [begin, end) of `from` to the same place; before any launch reads it, where it is memory of the host.
  void upload(const void* from, size_t begin, size_t end) {
    const char* const bytes = static_cast<const char*>(from) + begin;
    if (at_.host != nullptr) std::memcpy(static_cast<char*>(at_.host) + begin, bytes, end - begin);
    else if (end > begin) device_->upload(static_cast<char*>(at_.device) + begin, bytes, end - begin);
  }
  void download(void* to) const {
    if (bytes_ > 0) device_->download(to, at_.device, bytes_);
  }
  void clear() {
    if (bytes_ > 0) device_->clear(at_.device, bytes_);
  }

 private:
  void release() {
    if (at_.device != nullptr && where_ == Where::host) device_->release_in_host(at_);
    else if (at_.device != nullptr) device_->release(at_.device);
    at_ = {};
    bytes_ = 0;
  }

  std::shared_ptr<Device> device_;
  Where where_ = Where::device;
  InHost at_;
  size_t bytes_ = 0;
};

}  // namespace ultramem::addon
