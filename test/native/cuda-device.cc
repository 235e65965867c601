// Two sessions of two variants on a CUDA device. Prints `right`, or `fault <code> [<subject>] <message>`.
//   plain | eager | cancelled | damaged | second | beside | beside-eager
// sampled: one session of a model that samples, instead; placed: of one whose weight stays in its file, which TABLE names.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "addon/cuda_device.h"
#include "addon/session.h"

using namespace ultramem;
using namespace ultramem::addon;

namespace {

// The head of a fatbin of 16 bytes in all.
struct alignas(8) Head {
  uint32_t mark = 0xba55ed50u;
  uint16_t version = 1, header = 16;
  uint64_t body = 0;
};

const ArgSpec args[] = {{Space::state, 0, 4}, {Space::none, 0, 0}, {Space::state, 0, 8}, {Space::tokens, 0, 0}};
const LaunchSpec both[] = {
    {"add_first", "model.ts:3:1", {4, 2, 1}, {32, 1, 1}, 0, 0, 2, 0, -1},
    {"add_second", "model.ts:4:9", {1, 1, 1}, {64, 2, 1}, 65536, 2, 2, 0, -1},
};
const LaunchList lists[] = {{both, 2, args}, {both + 1, 1, args}};

// Sums that are right only where launches of two streams keep the order of what they read and write: to += by, places in a state.
struct Sum {
  int to, by, stream, after;
};
const Sum sums[] = {
    {0, 9, 0, -1}, {5, 9, 1, -1}, {1, 9, 0, -1}, {2, 0, 1, 0}, {3, 2, 1, -1},
    {1, 0, 0, -1}, {0, 3, 0, 4},  {1, 0, 0, -1}, {4, 1, 1, 7}, {6, 9, 0, -1},
};
constexpr int sum_count = int(sizeof sums / sizeof *sums);

void expect(bool holds, const char* what) {
  if (!holds) throw Fault("wrong", what);
}

void session(const std::shared_ptr<Device>& device, const volatile bool* cancel) {
  std::vector<int> from(300);
  std::iota(from.begin(), from.end(), 0);
  DeviceMemory state(device, from.size() * sizeof(int), "the state");
  DeviceMemory tokens(device, sizeof(int), "tokens"), nothing(device, 0, "nothing");
  expect(nothing.data() == nullptr, "memory of no bytes");
  nothing.clear();
  tokens.clear();
  void* states[] = {state.data()};
  const Spaces spaces = {nullptr, nullptr, nullptr, states, nullptr, nullptr, tokens.data()};
  std::vector<void*> pointers[] = {resolve(lists[0], spaces), resolve(lists[1], spaces)};
  expect(pointers[1].size() == 4 && pointers[1][2] == static_cast<char*>(state.data()) + 8, "addresses of arguments");

  state.upload(from.data(), 0, state.bytes());
  const int ten = 10;
  tokens.upload(&ten, 0, tokens.bytes());
  struct Opened {
    Device& device;
    uint64_t id = device.open_session();
    ~Opened() { device.close_session(id); }
  } opened{*device};
  for (int variant : {0, 1, 0, 0}) device->run(opened.id, variant, lists[variant], pointers[variant].data(), cancel);
  device->copy(static_cast<char*>(state.data()) + 400, state.data(), 200);
  std::vector<int> to(from.size());
  state.download(to.data());
  from[1] += 3;
  from[2] += 40;
  std::copy_n(from.begin(), 50, from.begin() + 100);
  expect(to == from, "numbers after four steps");
}

void beside(const std::shared_ptr<Device>& device) {
  std::vector<ArgSpec> spots;
  std::vector<LaunchSpec> launches;
  for (const Sum& sum : sums) {
    const char* kernel = sum.stream == 0 ? "add_first" : "add_second";
    launches.push_back({kernel, "model.ts:5:7", {1, 1, 1}, {32, 1, 1}, 0, int(spots.size()), 2, sum.stream, sum.after});
    for (int spot : {sum.to, sum.by}) spots.push_back({Space::state, 0, int64_t(spot) * 4});
  }
  const LaunchList list = {launches.data(), sum_count, spots.data()};
  std::vector<int> expected = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  DeviceMemory state(device, expected.size() * sizeof(int), "the state");
  state.upload(expected.data(), 0, state.bytes());
  void* states[] = {state.data()};
  const std::vector<void*> pointers = resolve(list, {nullptr, nullptr, nullptr, states, nullptr, nullptr, nullptr});
  struct Opened {
    Device& device;
    uint64_t id = device.open_session();
    ~Opened() { device.close_session(id); }
  } opened{*device};
  for (int step = 0; step < 2; step++) {
    device->run(opened.id, 0, list, pointers.data(), nullptr);
    for (const Sum& sum : sums) expected[size_t(sum.to)] += expected[size_t(sum.by)];
  }
  std::vector<int> got(expected.size());
  state.download(got.data());
  expect(got == expected, "sums of two streams");
}

// A model whose logits are all of its ids so far, added up, and whose chosen token is that on top of the last.
const SymbolSpec symbols[] = {{"T", 4, true}};
const TensorSpec inputs[] = {{"ids", DType::i32, 1, {-1}, 0, false, false}};
const TensorSpec outputs[] = {{"logits", DType::f32, 2, {-1, 100}, 0, false, false}};
const ArgSpec step_args[] = {{Space::output, 0, 0}, {Space::input, 0, 0}};
const LaunchSpec step_launch = {"add_first", "model.ts:3:1", {1, 1, 1}, {32, 1, 1}, 0, 0, 2, 0, -1};
const ArgSpec sample_args[] = {{Space::chosen, 0, 0}, {Space::output, 0, 0}, {Space::choices, 0, 0}, {Space::tokens, 0, 4}};
const LaunchSpec sample_launch = {"add_second", "model.ts:4:9", {4, 1, 1}, {256, 1, 1}, 0, 0, 4, 0, -1};
const LaunchList step_list = {&step_launch, 1, step_args}, sample_list = {&sample_launch, 1, sample_args};
const Variant variants[] = {{"one", 1, 0, nullptr, &step_list}, {"few", 4, 0, nullptr, &step_list}};

void sampled(Device* (*open)()) {
  const Model model = {"sampled", "", "", symbols, 1, inputs, 1, outputs, 1, nullptr, 0, nullptr, 0,
                       0, 0, 0, 0, nullptr, variants, 2, open, &sample_list};
  const bool cancel = false;
  LoadProgress progress;
  const auto loaded = std::make_shared<const Loaded>(model, std::vector<Source>(), 1, false, &cancel, progress);
  Session session(loaded, 1, {4}, {});
  const int64_t words[2 * kChoiceWords] = {};
  std::vector<int32_t> ids = {5, 0, 0}, tokens(2);
  session.step({1}, {ids.data()}, {nullptr}, &cancel, {words, 1, tokens.data()});
  expect(tokens[0] == 5, "a token");
  session.step({3}, {ids.data()}, {nullptr}, &cancel, {words, 2, tokens.data()});
  expect(tokens[0] == 15, "a token of another variant");
  session.step({1}, {ids.data()}, {nullptr}, &cancel);
  std::vector<int32_t> logits(100);
  session.step({1}, {ids.data()}, {logits.data()}, &cancel);
  expect(logits[0] == 20, "logits");
}

// A model that adds the second element of a weight to its logits; `place`: the file that the weight stays in.
const ArgSpec placed_args[] = {{Space::output, 0, 0}, {Space::weight, 0, 4}};
const LaunchList placed_list = {&step_launch, 1, placed_args};
const Variant placed_variants[] = {{"one", 1, 0, nullptr, &placed_list}};

void placed(Device* (*open)(), const char* place) {
  const TensorSpec weights[] = {{"table", DType::i32, 1, {1000}, 0, false, true, true}};
  const Model model = {"placed", "", "", symbols, 1, inputs, 1, outputs, 1, weights, 1, nullptr, 0,
                       0, 0, 0, 0, nullptr, placed_variants, 1, open, nullptr};
  std::vector<int32_t> table(1000);
  std::iota(table.begin(), table.end(), 6);
  FILE* const file = std::fopen(place, "w");
  std::fwrite(table.data(), sizeof(int32_t), table.size(), file);
  std::fclose(file);
  std::vector<Source> sources(1);
  sources[0].kind = Source::Kind::file;
  sources[0].stored = DType::i32;
  sources[0].path = place;
  const bool cancel = false;
  LoadProgress progress;
  const auto loaded = std::make_shared<const Loaded>(model, std::move(sources), 1, false, &cancel, progress);
  expect(loaded->memory().device == 4000 && loaded->memory().in_file == 0, "bytes in pinned memory");
  Session session(loaded, 1, {4}, {});
  const int32_t id = 0;
  std::vector<int32_t> logits(100);
  session.step({1}, {&id}, {logits.data()}, &cancel);
  expect(logits[0] == 7, "an element of the table");
}

}  // namespace

int main(int, char** argv) {
  const std::string mode = argv[1];
  try {
    if (mode == "sampled" || mode == "placed") {
      const auto open = []() -> Device* {
        static const Head images[2];
        CudaOptions own;
        own.images = {{&images[0], sizeof(Head)}, {&images[1], sizeof(Head)}};
        return new CudaDevice(own);
      };
      if (mode == "sampled") sampled(open);
      else placed(open, std::getenv("TABLE"));
      std::printf("right\n");
      return 0;
    }
    Head heads[2];
    if (mode == "damaged") heads[1].body = 1;
    CudaOptions options;
    options.images = {{&heads[0], sizeof(Head)}, {&heads[1], sizeof(Head)}};
    options.architectures = "sm_80, compute_80";
    options.toolkit = 13000;
    options.ordinal = mode == "second" ? 1 : 0;
    options.eager = mode == "eager" || mode == "beside-eager";
    options.staging = 512;
    const std::shared_ptr<Device> device = std::make_shared<CudaDevice>(options);
    expect(device->name() == "Fake 90 (sm_90)", "the name");
    const volatile bool cancel = mode == "cancelled";
    if (mode.starts_with("beside")) {
      beside(device);
    } else {
      session(device, &cancel);
      session(device, nullptr);
    }
    std::printf("right\n");
  } catch (const Fault& fault) {
    std::printf("fault %s [%s] %s\n", fault.code.c_str(), fault.subject.c_str(), fault.what());
  }
}
