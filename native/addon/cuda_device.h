// A device of CUDA: the kernels of embedded fatbins, pinned staging, and one captured graph per session and variant, in which
// launches of two streams run beside each other.
#pragma once
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda_driver.h"
#include "cuda_events.h"
#include "cuda_image.h"
#include "device.h"

namespace ultramem::addon {

class CudaDevice final : public Device {
 public:
  // Throws Fault no-driver, driver-too-old, no-device, no-kernel-image, out-of-memory, cuda-failed.
  explicit CudaDevice(CudaOptions options) : options_(std::move(options)), driver_(driver::Driver::get()) {
    try {
      open();
    } catch (...) {
      close();
      throw;
    }
  }
  ~CudaDevice() override { close(); }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  void* allocate(size_t bytes, const char* what) override {
    const Current current(*this);
    driver::Address at = 0;
    const driver::Result result = driver_.allocate(&at, bytes);
    if (result == driver::kOutOfMemory) throw out_of_memory(what, bytes);
    check(result, std::string("allocating ") + what);
    return reinterpret_cast<void*>(at);
  }

  void release(void* at) noexcept override {
    // Where this fails the context is lost, and the memory with it.
    quietly([&] { driver_.release(address(at)); });
  }

  // Pinned, with an address on the device: kernels gather its rows over the bus.
  InHost allocate_in_host(size_t bytes, const char* what) override {
    const Current current(*this);
    InHost at;
    const driver::Result result = driver_.host_allocate(&at.host, bytes, driver::kPortable | driver::kMapped);
    if (result == driver::kOutOfMemory) throw out_of_memory(what, bytes);
    check(result, std::string("pinning ") + what);
    driver::Address address = 0;
    const driver::Result mapped = driver_.host_address(&address, at.host, 0);
    if (mapped != driver::kSuccess) driver_.host_release(at.host);
    check(mapped, std::string("mapping ") + what);
    at.device = reinterpret_cast<void*>(address);
    return at;
  }

  void release_in_host(const InHost& at) noexcept override {
    quietly([&] { driver_.host_release(at.host); });
  }

  // Goes through pinned memory: the driver copies from there without a stop, and `from` is free at once.
  void upload(void* to, const void* from, size_t bytes) override {
    const Current current(*this);
    for (size_t done = 0, piece; done < bytes; done += piece) {
      if (staged_ == options_.staging) wait("copying to the device");
      piece = std::min(bytes - done, options_.staging - staged_);
      char* stage = staging_ + staged_;
      std::memcpy(stage, static_cast<const char*>(from) + done, piece);
      check(driver_.copy_in(address(to) + done, stage, piece, stream_), "copying to the device");
      staged_ += (piece + 63) / 64 * 64;
      staged_ = std::min(staged_, options_.staging);
    }
  }

  void download(void* to, const void* from, size_t bytes) override {
    const Current current(*this);
    if (staged_ > 0) wait("copying to the device");
    for (size_t done = 0, piece; done < bytes; done += piece) {
      piece = std::min(bytes - done, options_.staging);
      check(driver_.copy_out(staging_, address(from) + done, piece, stream_), "copying from the device");
      wait("copying from the device");
      std::memcpy(static_cast<char*>(to) + done, staging_, piece);
    }
  }

  // Waited for: its caller may free either, which the driver would not hold back.
  void copy(void* to, const void* from, size_t bytes) override {
    const Current current(*this);
    check(driver_.copy_within(address(to), address(from), bytes, stream_), "copying within the device");
    wait("copying within the device");
  }

  void clear(void* at, size_t bytes) override {
    const Current current(*this);
    check(driver_.fill(address(at), 0, bytes, stream_), "clearing memory");
  }

  void run(uint64_t session, int variant, const LaunchList& list, void* const* pointers,
           const volatile bool* cancel) override {
    const Current current(*this);
    if (cancel != nullptr && *cancel) throw aborted();
    if (options_.eager) {
      const std::vector<driver::Function> functions = functions_of(list);
      for (int i = 0; i < list.launch_count; i++) {
        if (cancel != nullptr && *cancel) throw aborted();
        launch(list, i, functions[size_t(i)], pointers, stream_);
        check(driver_.stream_wait(stream_), "running", &list.launches[i]);
      }
      return;
    }
    const auto key = std::make_pair(session, variant);
    auto found = graphs_.find(key);
    if (found == graphs_.end()) found = graphs_.emplace(key, capture(list, pointers)).first;
    check(driver_.graph_launch(found->second, stream_), "launching " + step_text(list));
    wait("running " + step_text(list));
  }

  void close_session(uint64_t session) noexcept override {
    quietly([&] {
      const auto first = graphs_.lower_bound({session, INT32_MIN});
      auto last = first;
      for (; last != graphs_.end() && last->first.first == session; ++last) driver_.exec_destroy(last->second);
      graphs_.erase(first, last);
    });
  }

  std::string name() const override { return name_ + " (" + architecture_ + ")"; }

 private:
  // The device to this thread alone, its context current.
  class Current {
   public:
    explicit Current(CudaDevice& device) : device_(device), lock_(device.mutex_) {
      device.check(device.driver_.context_push(device.context_), "entering the context");
    }
    ~Current() {
      driver::Context left;
      device_.driver_.context_pop(&left);
    }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

   private:
    CudaDevice& device_;
    std::lock_guard<std::mutex> lock_;
  };

  struct Kernel {
    driver::Function function;
    unsigned shared;  // dynamic, that it may have
  };

  void open() {
    int count = 0;
    const driver::Result counted = driver_.device_count(&count);
    if (counted == driver::kNoDevice) count = 0;
    else check(counted, "counting devices");
    if (options_.ordinal >= count) {
      throw Fault("no-device", count == 0 ? "the NVIDIA driver finds no device"
                                          : "device " + std::to_string(options_.ordinal) + " is wanted, and there are " +
                                                std::to_string(count));
    }
    check(driver_.device_get(&device_, options_.ordinal), "taking the device");
    char product[256] = "";
    check(driver_.device_name(product, int(sizeof product) - 1, device_), "asking for the device's name");
    int major = 0, minor = 0;
    check(driver_.device_attribute(&major, driver::kComputeMajor, device_), "asking for the device's architecture");
    check(driver_.device_attribute(&minor, driver::kComputeMinor, device_), "asking for the device's architecture");
    name_ = product;
    architecture_ = "sm_" + std::to_string(major) + std::to_string(minor);
    check(driver_.context_retain(&context_, device_), "making a context");
    const Current current(*this);
    for (const CudaImage& image : options_.images) load(image);
    check(driver_.stream_create(&stream_, driver::kOwnOrder), "making a stream");
    check(driver_.stream_create(&beside_, driver::kOwnOrder), "making a second stream");
    void* staging = nullptr;
    check(driver_.host_allocate(&staging, options_.staging, 0), "allocating pinned memory");
    staging_ = static_cast<char*>(staging);
  }

  void load(const CudaImage& image) {
    if (!whole(image)) throw Fault("cuda-failed", "the kernels in this binary are damaged");
    driver::Module module = nullptr;
    const driver::Result result = driver_.module_load(&module, image.data);
    const bool newer = driver_.version < options_.toolkit;
    if (result == driver::kUnsupportedPtx || (newer && (result == driver::kInvalidImage || result == driver::kNoBinary))) {
      throw driver::too_old(driver_.version, options_.toolkit, "it does not take kernels built for " + options_.architectures);
    }
    if (result == driver::kNoBinary) {
      throw Fault("no-kernel-image", name() + " has no kernels here: the model was built for " + options_.architectures);
    }
    check(result, "loading kernels");
    modules_.push_back(module);
  }

  // Whatever of it there is; a context that is lost answers with errors that tell nothing new.
  void close() noexcept {
    if (context_ == nullptr) return;
    quietly([&] {
      if (stream_ != nullptr) driver_.stream_wait(stream_);
      for (const auto& [key, exec] : graphs_) driver_.exec_destroy(exec);
      if (staging_ != nullptr) driver_.host_release(staging_);
      if (beside_ != nullptr) driver_.stream_destroy(beside_);
      if (stream_ != nullptr) driver_.stream_destroy(stream_);
      for (driver::Module module : modules_) driver_.module_unload(module);
    });
    driver_.context_release(device_);
    context_ = nullptr;
  }

  // Before a capture: finding a function may load its code, which a capture does not allow.
  std::vector<driver::Function> functions_of(const LaunchList& list) {
    std::vector<driver::Function> functions;
    for (int i = 0; i < list.launch_count; i++) functions.push_back(function_of(list.launches[i]));
    return functions;
  }

  driver::Function function_of(const LaunchSpec& launch) {
    auto found = kernels_.find(launch.kernel);
    if (found == kernels_.end()) {
      driver::Function function = nullptr;
      driver::Result result = driver::kNotFound;
      for (size_t i = 0; i < modules_.size() && result == driver::kNotFound; i++) {
        result = driver_.module_function(&function, modules_[i], launch.kernel);
      }
      if (result == driver::kNotFound) throw Fault("cuda-failed", "no image holds " + launch_text(launch), launch.kernel);
      check(result, "loading", &launch);
      found = kernels_.emplace(launch.kernel, Kernel{function, driver::kSharedWithoutAsking}).first;
    }
    Kernel& kernel = found->second;
    if (launch.shared > kernel.shared) {
      check(driver_.function_attribute(kernel.function, driver::kDynamicSharedLimit, int(launch.shared)),
            "asking for " + std::to_string(launch.shared) + " bytes of shared memory for", &launch);
      kernel.shared = launch.shared;
    }
    return kernel.function;
  }

  driver::GraphExec capture(const LaunchList& list, void* const* pointers) {
    const std::vector<driver::Function> functions = functions_of(list);
    CudaEvents events(driver_, list, [this](driver::Result result, const char* doing, const LaunchSpec* launch) {
      check(result, doing, launch);
    });
    events.make();
    check(driver_.capture_begin(stream_, driver::kCaptureThreadLocal), "beginning to capture " + step_text(list));
    driver::Graph graph = nullptr;
    try {
      events.fork(stream_, beside_);
      for (int i = 0; i < list.launch_count; i++) {
        const driver::Stream stream = list.launches[i].stream == 0 ? stream_ : beside_;
        events.before(i, stream);
        launch(list, i, functions[size_t(i)], pointers, stream);
        events.behind(i, stream);
      }
      events.join(stream_);
    } catch (...) {
      // The stream must leave its capture, broken as that is.
      if (driver_.capture_end(stream_, &graph) == driver::kSuccess && graph != nullptr) driver_.graph_destroy(graph);
      throw;
    }
    check(driver_.capture_end(stream_, &graph), "capturing " + step_text(list));
    driver::GraphExec exec = nullptr;
    const driver::Result result = driver_.graph_instantiate(&exec, graph, 0);
    driver_.graph_destroy(graph);
    check(result, "preparing " + step_text(list));
    return exec;
  }

  void launch(const LaunchList& list, int i, driver::Function function, void* const* pointers, driver::Stream stream) {
    const LaunchSpec& spec = list.launches[i];
    std::vector<void*> parameters;
    for (int a = 0; a < spec.arg_count; a++) parameters.push_back(const_cast<void**>(&pointers[spec.first_arg + a]));
    check(driver_.launch(function, spec.grid[0], spec.grid[1], spec.grid[2], spec.block[0], spec.block[1], spec.block[2],
                         spec.shared, stream, parameters.data(), nullptr),
          "launching", &spec);
  }

  // After it, nothing reads the staging memory.
  void wait(const std::string& doing) {
    check(driver_.stream_wait(stream_), doing);
    staged_ = 0;
  }

  void check(driver::Result result, const std::string& doing, const LaunchSpec* launch = nullptr) const {
    if (result == driver::kSuccess) return;
    const std::string what = launch == nullptr ? doing : doing + " " + launch_text(*launch);
    if (result == driver::kOutOfMemory) throw Fault("out-of-memory", "no memory on " + name() + " while " + what);
    throw Fault("cuda-failed", driver_.describe(result) + " while " + what, launch == nullptr ? "" : launch->kernel);
  }

  template <class Body>
  void quietly(const Body& body) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (driver_.context_push(context_) != driver::kSuccess) return;
    body();
    driver::Context left;
    driver_.context_pop(&left);
  }

  static std::string launch_text(const LaunchSpec& launch) {
    return std::string("kernel ") + launch.kernel + " (" + launch.place + ")";
  }

  // All that is known of a graph's fault: it lies in one of these.
  static std::string step_text(const LaunchList& list) {
    if (list.launch_count == 0) return "a step of no kernels";
    return "a step of " + std::to_string(list.launch_count) + " kernels, from " + list.launches[0].kernel + " to " +
           list.launches[list.launch_count - 1].kernel;
  }

  static driver::Address address(const void* at) { return reinterpret_cast<driver::Address>(at); }

  const CudaOptions options_;
  const driver::Driver& driver_;
  std::mutex mutex_;
  driver::DeviceId device_ = 0;
  std::string name_, architecture_;
  driver::Context context_ = nullptr;
  std::vector<driver::Module> modules_;
  driver::Stream stream_ = nullptr, beside_ = nullptr;
  char* staging_ = nullptr;
  size_t staged_ = 0;  // bytes of the staging memory that copies under way read
  std::map<std::string, Kernel> kernels_;
  std::map<std::pair<uint64_t, int>, driver::GraphExec> graphs_;
};

}  // namespace ultramem::addon
