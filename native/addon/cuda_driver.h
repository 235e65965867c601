// The CUDA driver, found when it is first asked for: an addon loads and runs on machines without one. Declares by itself the
// few functions of libcuda that a device needs, as the driver's binary interface has them, so that no CUDA header is needed.
#pragma once
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "fault.h"

namespace ultramem::driver {

using Result = int;
using DeviceId = int;
using Address = uint64_t;  // of memory on the device
struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
using Context = CUctx_st*;
using Module = CUmod_st*;
using Function = CUfunc_st*;
using Stream = CUstream_st*;
using Event = CUevent_st*;
using Graph = CUgraph_st*;
using GraphExec = CUgraphExec_st*;

constexpr Result kSuccess = 0, kOutOfMemory = 2, kStandIn = 34, kNoDevice = 100, kInvalidDevice = 101, kInvalidImage = 200,
                 kNoBinary = 209, kUnsupportedPtx = 222, kNotFound = 500, kDriverMismatch = 803, kTooNewForDevice = 804;
constexpr int kComputeMajor = 75, kComputeMinor = 76;  // attributes of a device
constexpr int kDynamicSharedLimit = 8;                 // attribute of a function
constexpr unsigned kOwnOrder = 1;                      // flag of a stream that does not wait for the default one
constexpr unsigned kUntimed = 2;                       // flag of an event that only orders
constexpr unsigned kPortable = 1, kMapped = 2;         // flags of pinned memory: in all contexts; with an address on the device
constexpr int kCaptureThreadLocal = 1;
constexpr unsigned kSharedWithoutAsking = 48 << 10;  // bytes of shared memory that every kernel may have

// Oldest driver with all the functions below.
constexpr int kOldest = 11040;

// Member, symbol of the library, parameters.
#define ULTRAMEM_DRIVER_FUNCTIONS(X)                                                                                      \
  X(init, "cuInit", (unsigned))                                                                                           \
  X(device_count, "cuDeviceGetCount", (int*))                                                                             \
  X(device_get, "cuDeviceGet", (DeviceId*, int))                                                                          \
  X(device_name, "cuDeviceGetName", (char*, int, DeviceId))                                                               \
  X(device_attribute, "cuDeviceGetAttribute", (int*, int, DeviceId))                                                      \
  X(context_retain, "cuDevicePrimaryCtxRetain", (Context*, DeviceId))                                                     \
  X(context_release, "cuDevicePrimaryCtxRelease_v2", (DeviceId))                                                          \
  X(context_push, "cuCtxPushCurrent_v2", (Context))                                                                       \
  X(context_pop, "cuCtxPopCurrent_v2", (Context*))                                                                        \
  X(module_load, "cuModuleLoadData", (Module*, const void*))                                                              \
  X(module_unload, "cuModuleUnload", (Module))                                                                            \
  X(module_function, "cuModuleGetFunction", (Function*, Module, const char*))                                             \
  X(function_attribute, "cuFuncSetAttribute", (Function, int, int))                                                       \
  X(allocate, "cuMemAlloc_v2", (Address*, size_t))                                                                        \
  X(release, "cuMemFree_v2", (Address))                                                                                   \
  X(host_allocate, "cuMemHostAlloc", (void**, size_t, unsigned))                                                          \
  X(host_address, "cuMemHostGetDevicePointer_v2", (Address*, void*, unsigned))                                            \
  X(host_release, "cuMemFreeHost", (void*))                                                                               \
  X(copy_in, "cuMemcpyHtoDAsync_v2", (Address, const void*, size_t, Stream))                                              \
  X(copy_out, "cuMemcpyDtoHAsync_v2", (void*, Address, size_t, Stream))                                                   \
  X(copy_within, "cuMemcpyDtoDAsync_v2", (Address, Address, size_t, Stream))                                               \
  X(fill, "cuMemsetD8Async", (Address, unsigned char, size_t, Stream))                                                    \
  X(stream_create, "cuStreamCreate", (Stream*, unsigned))                                                                 \
  X(stream_destroy, "cuStreamDestroy_v2", (Stream))                                                                       \
  X(stream_wait, "cuStreamSynchronize", (Stream))                                                                         \
  X(event_create, "cuEventCreate", (Event*, unsigned))                                                                    \
  X(event_destroy, "cuEventDestroy_v2", (Event))                                                                          \
  X(event_record, "cuEventRecord", (Event, Stream))                                                                       \
  X(stream_wait_event, "cuStreamWaitEvent", (Stream, Event, unsigned))                                                    \
  X(capture_begin, "cuStreamBeginCapture_v2", (Stream, int))                                                              \
  X(capture_end, "cuStreamEndCapture", (Stream, Graph*))                                                                  \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", (GraphExec*, Graph, unsigned long long))                            \
  X(graph_launch, "cuGraphLaunch", (GraphExec, Stream))                                                                   \
  X(graph_destroy, "cuGraphDestroy", (Graph))                                                                             \
  X(exec_destroy, "cuGraphExecDestroy", (GraphExec))                                                                      \
  X(error_name, "cuGetErrorName", (Result, const char**))                                                                 \
  X(error_text, "cuGetErrorString", (Result, const char**))                                                               \
  X(launch, "cuLaunchKernel",                                                                                             \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**))

inline std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

inline addon::Fault too_old(int got, int wanted, const std::string& why) {
  return addon::Fault("driver-too-old", "the NVIDIA driver serves CUDA " + version_text(got) + ", and CUDA " +
                                            version_text(wanted) + " or later is wanted: " + why);
}

struct Driver {
#define ULTRAMEM_MEMBER(member, symbol, parameters) Result(*member) parameters = nullptr;
  ULTRAMEM_DRIVER_FUNCTIONS(ULTRAMEM_MEMBER)
#undef ULTRAMEM_MEMBER
  int version = 0;  // 13000 for CUDA 13.0

  // The library stays loaded until the process ends. Throws Fault no-driver, driver-too-old, no-device, cuda-failed.
  static const Driver& get() {
    static const Driver driver = open();
    return driver;
  }

  // `CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)`
  std::string describe(Result result) const {
    const char* name = nullptr;
    const char* text = nullptr;
    error_name(result, &name);
    error_text(result, &text);
    if (name == nullptr) return "error " + std::to_string(result);
    return text == nullptr ? name : std::string(name) + " (" + text + ")";
  }

 private:
  static Driver open() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* why = dlerror();
      throw addon::Fault("no-driver", std::string("no NVIDIA driver: ") + (why == nullptr ? "libcuda.so.1" : why));
    }
    Driver driver;
    const auto get_version = reinterpret_cast<Result (*)(int*)>(dlsym(library, "cuDriverGetVersion"));
    if (get_version == nullptr || get_version(&driver.version) != kSuccess) {
      throw addon::Fault("no-driver", "no NVIDIA driver: libcuda.so.1 does not tell its version");
    }
    if (driver.version < kOldest) throw too_old(driver.version, kOldest, "it captures no graphs as they are used here");
#define ULTRAMEM_RESOLVE(member, symbol, parameters) driver.resolve(driver.member, library, symbol);
    ULTRAMEM_DRIVER_FUNCTIONS(ULTRAMEM_RESOLVE)
#undef ULTRAMEM_RESOLVE
    const Result started = driver.init(0);
    switch (started) {
      case kSuccess: return driver;
      case kNoDevice:
      case kInvalidDevice: throw addon::Fault("no-device", "the NVIDIA driver finds no device");
      case kStandIn: throw addon::Fault("no-driver", "no NVIDIA driver: libcuda.so.1 is the one that is only for linking");
      case kDriverMismatch:
      case kTooNewForDevice: throw too_old(driver.version, kOldest, driver.describe(started));
      default: throw addon::Fault("cuda-failed", driver.describe(started) + " while starting the driver");
    }
  }

  template <class Pointer>
  void resolve(Pointer& member, void* library, const char* symbol) const {
    member = reinterpret_cast<Pointer>(dlsym(library, symbol));
    if (member == nullptr) throw too_old(version, kOldest, std::string("it has no ") + symbol);
  }
};

#undef ULTRAMEM_DRIVER_FUNCTIONS

}  // namespace ultramem::driver
