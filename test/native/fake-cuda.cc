// A libcuda.so.1 without a device: notes every call in a file, keeps memory on the heap, runs one kernel, fails where it is told.
//   FAKE_LOG      file that gets a line per call, and at the end what was not given back
//   FAKE_FAIL     `name=code`: every call of that name fails; or `#n=code`: the n-th call does, from 0
//   FAKE_VERSION  of the driver;  FAKE_COUNT  of devices
//   FAKE_LATE     0 or 1: launches of that stream run as late as a graph's edges allow, those of the other as early
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

int number(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

using Ends = std::set<size_t>;  // launches that all later ones follow

struct Launch {
  std::string kernel;
  std::vector<void*> arguments;
  int stream = 0;
  Ends after;
};
using Graph = std::vector<Launch>;

struct Event {
  Ends ends;
  bool captured = false;
};

struct Stream {
  Ends ends;
  bool capturing = false;
};

struct Fake {
  FILE* log = std::fopen(std::getenv("FAKE_LOG"), "w");
  std::string fail = std::getenv("FAKE_FAIL") == nullptr ? "" : std::getenv("FAKE_FAIL");
  int calls = 0;
  std::map<std::string, int> live;  // by kind of thing
  Stream streams[2];
  Graph captured;

  ~Fake() {
    for (const auto& [kind, count] : live) {
      if (count != 0) std::fprintf(log, "left %d %s\n", count, kind.c_str());
    }
    std::fclose(log);
  }

  int call(const std::string& name, const std::string& more = "") {
    std::fprintf(log, "%s%s\n", name.c_str(), more.c_str());
    const size_t split = fail.find('=');
    if (split == std::string::npos) return ++calls, 0;
    const std::string at = fail.substr(0, split);
    const bool hit = at == name || at == "#" + std::to_string(calls);
    calls++;
    return hit ? std::atoi(fail.c_str() + split + 1) : 0;
  }
} fake;

// The only kernel: adds the second argument to the first, or 1 where that is null.
void run(const Launch& launch) {
  int* to = static_cast<int*>(launch.arguments[0]);
  const int* by = static_cast<const int*>(launch.arguments[1]);
  *to += by == nullptr ? 1 : *by;
}

std::string number_of(void* stream) { return " " + std::to_string(static_cast<Stream*>(stream) - fake.streams); }

char handles[16];
const char* const kernels[] = {"add_first", "add_second"};

}  // namespace

#define CALL(...) \
  if (const int error = fake.call(__VA_ARGS__)) return error

extern "C" {
int cuDriverGetVersion(int* version) { *version = number("FAKE_VERSION", 13000); return 0; }
int cuInit(unsigned) { CALL("cuInit"); return 0; }
int cuDeviceGetCount(int* count) { CALL("cuDeviceGetCount"); *count = number("FAKE_COUNT", 1); return 0; }
int cuDeviceGet(int* device, int) { CALL("cuDeviceGet"); *device = 0; return 0; }
int cuDeviceGetName(char* name, int, int) { CALL("cuDeviceGetName"); std::strcpy(name, "Fake 90"); return 0; }
int cuDeviceGetAttribute(int* value, int which, int) {
  CALL("cuDeviceGetAttribute");
  *value = which == 75 ? 9 : 0;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
  CALL("cuDevicePrimaryCtxRetain");
  fake.live["contexts"]++;
  *context = handles;
  return 0;
}
// What gives something back does so even where it answers with an error, as the driver does after a fault of a kernel.
int cuDevicePrimaryCtxRelease_v2(int) { fake.live["contexts"]--; CALL("cuDevicePrimaryCtxRelease"); return 0; }
int cuCtxPushCurrent_v2(void*) { CALL("cuCtxPushCurrent"); fake.live["current contexts"]++; return 0; }
int cuCtxPopCurrent_v2(void**) { fake.live["current contexts"]--; CALL("cuCtxPopCurrent"); return 0; }
int cuModuleLoadData(void** module, const void*) {
  CALL("cuModuleLoadData");
  *module = handles + 1 + fake.live["modules"]++;
  return 0;
}
int cuModuleUnload(void*) { fake.live["modules"]--; CALL("cuModuleUnload"); return 0; }
// Each module holds one of the kernels.
int cuModuleGetFunction(void** function, void* module, const char* name) {
  CALL("cuModuleGetFunction", std::string(" ") + name);
  const char* held = kernels[static_cast<char*>(module) - handles - 1];
  *function = const_cast<char*>(held);
  return std::strcmp(held, name) == 0 ? 0 : 500;
}
int cuFuncSetAttribute(void*, int, int value) { CALL("cuFuncSetAttribute", " " + std::to_string(value)); return 0; }
int cuMemAlloc_v2(uint64_t* at, size_t bytes) {
  CALL("cuMemAlloc");
  fake.live["pieces of memory"]++;
  *at = reinterpret_cast<uint64_t>(std::calloc(1, bytes));
  return 0;
}
int cuMemFree_v2(uint64_t at) {
  fake.live["pieces of memory"]--;
  std::free(reinterpret_cast<void*>(at));
  CALL("cuMemFree");
  return 0;
}
int cuMemHostAlloc(void** at, size_t bytes, unsigned flags) {
  CALL("cuMemHostAlloc", flags == 0 ? "" : " " + std::to_string(flags));
  fake.live["pieces of pinned memory"]++;
  *at = std::malloc(bytes);
  return 0;
}
// The same address on both sides, as memory is one here.
int cuMemHostGetDevicePointer_v2(uint64_t* on_device, void* at, unsigned) {
  CALL("cuMemHostGetDevicePointer");
  *on_device = reinterpret_cast<uint64_t>(at);
  return 0;
}
int cuMemFreeHost(void* at) { fake.live["pieces of pinned memory"]--; std::free(at); CALL("cuMemFreeHost"); return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void*) {
  CALL("cuMemcpyHtoDAsync", " " + std::to_string(bytes));
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void*) {
  CALL("cuMemcpyDtoHAsync", " " + std::to_string(bytes));
  std::memcpy(to, reinterpret_cast<void*>(from), bytes);
  return 0;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void*) {
  CALL("cuMemcpyDtoDAsync", " " + std::to_string(bytes));
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  return 0;
}
int cuMemsetD8Async(uint64_t at, unsigned char value, size_t bytes, void*) {
  CALL("cuMemsetD8Async");
  std::memset(reinterpret_cast<void*>(at), value, bytes);
  return 0;
}
int cuStreamCreate(void** stream, unsigned) {
  CALL("cuStreamCreate");
  *stream = &fake.streams[fake.live["streams"]++];
  return 0;
}
int cuStreamDestroy_v2(void*) { fake.live["streams"]--; CALL("cuStreamDestroy"); return 0; }
int cuStreamSynchronize(void*) { CALL("cuStreamSynchronize"); return 0; }
int cuEventCreate(void** event, unsigned flags) {
  CALL("cuEventCreate", " " + std::to_string(flags));
  fake.live["events"]++;
  *event = new Event;
  return 0;
}
int cuEventDestroy_v2(void* event) {
  fake.live["events"]--;
  delete static_cast<Event*>(event);
  CALL("cuEventDestroy");
  return 0;
}
int cuEventRecord(void* event, void* stream) {
  CALL("cuEventRecord", number_of(stream));
  const Stream& from = *static_cast<Stream*>(stream);
  *static_cast<Event*>(event) = {from.ends, from.capturing};
  return 0;
}
// Waiting for an event of a capture brings a stream into it.
int cuStreamWaitEvent(void* stream, void* event, unsigned) {
  CALL("cuStreamWaitEvent", number_of(stream));
  Stream& to = *static_cast<Stream*>(stream);
  const Event& from = *static_cast<Event*>(event);
  to.ends.insert(from.ends.begin(), from.ends.end());
  to.capturing = to.capturing || from.captured;
  return 0;
}
int cuStreamBeginCapture_v2(void* stream, int) {
  CALL("cuStreamBeginCapture");
  fake.live["captures"]++;
  fake.captured.clear();
  *static_cast<Stream*>(stream) = {{}, true};
  return 0;
}
int cuStreamEndCapture(void* stream, void** graph) {
  fake.live["captures"]--;
  // What the stream has waited for, and all that these launches followed.
  Ends joined = static_cast<Stream*>(stream)->ends;
  for (size_t i = fake.captured.size(); i-- > 0;) {
    if (joined.count(i) > 0) joined.insert(fake.captured[i].after.begin(), fake.captured[i].after.end());
  }
  for (Stream& each : fake.streams) each = {};
  CALL("cuStreamEndCapture");
  if (joined.size() < fake.captured.size()) return 904;  // CUDA_ERROR_STREAM_CAPTURE_UNJOINED
  fake.live["graphs"]++;
  *graph = new Graph(fake.captured);
  return 0;
}
int cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
  CALL("cuGraphInstantiate");
  fake.live["executable graphs"]++;
  *exec = new Graph(*static_cast<Graph*>(graph));
  return 0;
}
int cuGraphDestroy(void* graph) {
  fake.live["graphs"]--;
  delete static_cast<Graph*>(graph);
  CALL("cuGraphDestroy");
  return 0;
}
int cuGraphExecDestroy(void* exec) {
  fake.live["executable graphs"]--;
  delete static_cast<Graph*>(exec);
  CALL("cuGraphExecDestroy");
  return 0;
}
#ifndef WITHOUT_GRAPH_LAUNCH
// As a device may: whatever is ready, of the stream that is not late first.
static void run(const Graph& graph) {
  const int late = number("FAKE_LATE", 1);
  Ends done;
  while (done.size() < graph.size()) {
    size_t next = graph.size();
    for (size_t i = 0; i < graph.size(); i++) {
      const Ends& after = graph[i].after;
      const bool ready = std::all_of(after.begin(), after.end(), [&](size_t a) { return done.count(a) > 0; });
      if (done.count(i) > 0 || !ready) continue;
      if (next == graph.size() || (graph[next].stream == late && graph[i].stream != late)) next = i;
    }
    run(graph[next]);
    done.insert(next);
  }
}
int cuGraphLaunch(void* exec, void*) {
  CALL("cuGraphLaunch");
  run(*static_cast<Graph*>(exec));
  return 0;
}
#endif
int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void* at, void** arguments, void**) {
  char shape[128];
  std::snprintf(shape, sizeof shape, " %s %u,%u,%u %u,%u,%u %u", static_cast<char*>(function), gx, gy, gz, bx, by, bz, shared);
  CALL("cuLaunchKernel", shape + number_of(at));
  Stream& stream = *static_cast<Stream*>(at);
  const Launch launch = {static_cast<char*>(function),
                         {*static_cast<void**>(arguments[0]), *static_cast<void**>(arguments[1])},
                         int(&stream - fake.streams),
                         stream.ends};
  if (!stream.capturing) return run(launch), 0;
  stream.ends = {fake.captured.size()};
  fake.captured.push_back(launch);
  return 0;
}
int cuGetErrorName(int error, const char** name) { *name = error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : nullptr; return 0; }
int cuGetErrorString(int error, const char** text) { *text = error == 719 ? "unspecified launch failure" : nullptr; return 0; }
}
