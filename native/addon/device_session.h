// A session whose steps run on a device: its states, arena, and room for inputs and outputs there. No napi here.
#pragma once
#include <cstring>
#include <memory>
#include <vector>

#include "device.h"
#include "loaded.h"
#include "model.h"

namespace ultramem::addon {

// Tokens to choose from a step's logits: kChoiceWords for each, and where they go.
struct Choices {
  const int64_t* words = nullptr;
  int count = 0;  // at most the tokens of the step
  int32_t* tokens = nullptr;
};

// Bytes of a session, where its steps run; scratch of its threads is memory of the host.
struct SessionMemory {
  size_t states = 0;
  size_t arena = 0;  // on a device with room for inputs and outputs
  size_t scratch = 0;
};

class DeviceSession {
 public:
  // symbols: as in Session.
  DeviceSession(std::shared_ptr<const Loaded> loaded, std::vector<int64_t> symbols, const Observe& observe)
      : loaded_(std::move(loaded)), device_(loaded_->device()), id_(device_->open_session()) {
    device_->observe(id_, observe);
    const Model& model = loaded_->model();
    for (int i = 0; i < model.symbol_count; i++) {
      if (model.symbols[i].per_step) symbols[size_t(i)] = model.symbols[i].bound;
    }
    states_ = allocate(model.states, model.state_count, symbols);
    for (DeviceMemory& state : states_.owned) state.clear();
    inputs_ = allocate(model.inputs, model.input_count, symbols);
    outputs_ = allocate(model.outputs, model.output_count, symbols);
    tokens_ = DeviceMemory(device_, 2 * sizeof(int32_t), "the number of tokens");
    if (model.sample != nullptr) {
      const size_t most = size_t(model.variants[model.variant_count - 1].max_tokens);
      choices_ = DeviceMemory(device_, most * kChoiceWords * sizeof(int64_t), "how tokens are chosen");
      chosen_ = DeviceMemory(device_, most * sizeof(int32_t), "the chosen tokens");
      pointers_of_sample_ = resolve(*model.sample, spaces(nullptr));
    }
    for (int i = 0; i < model.variant_count; i++) {
      arenas_.emplace_back(device_, model.variants[i].arena_bytes, "the arena");
      pointers_.push_back(resolve(*model.variants[i].launches, spaces(arenas_.back().data())));
    }
  }
  ~DeviceSession() { device_->close_session(id_); }
  DeviceSession(const DeviceSession&) = delete;
  DeviceSession& operator=(const DeviceSession&) = delete;

  // Blocks. `symbols` are those of the step; tensors are as long as they say; a null output stays on the device.
  void step(int variant, int64_t tokens, const std::vector<int64_t>& symbols, const std::vector<const void*>& inputs,
            const std::vector<void*>& outputs, const Choices& choices, const volatile bool* cancel) {
    const Model& model = loaded_->model();
    const int32_t counts[] = {int32_t(tokens), choices.count};
    device_->upload(tokens_.data(), counts, sizeof counts);
    if (choices.count > 0) device_->upload(choices_.data(), choices.words, size_t(choices.count) * kChoiceWords * sizeof(int64_t));
    for (size_t i = 0; i < inputs.size(); i++) {
      if (const size_t bytes = bytes_of(model.inputs[i], symbols)) device_->upload(inputs_.pointers[i], inputs[i], bytes);
    }
    device_->begin_step(id_, symbols);
    device_->run(id_, variant, *model.variants[variant].launches, pointers_[size_t(variant)].data(), cancel);
    if (*cancel) return;
    if (choices.count > 0) {
      device_->run(id_, model.variant_count, *model.sample, pointers_of_sample_.data(), cancel);
      if (*cancel) return;
      device_->download(choices.tokens, chosen_.data(), size_t(choices.count) * sizeof(int32_t));
    }
    for (size_t i = 0; i < outputs.size(); i++) {
      if (outputs[i] == nullptr) continue;
      if (const size_t bytes = bytes_of(model.outputs[i], symbols)) device_->download(outputs[i], outputs_.pointers[i], bytes);
    }
  }

  // Copies of every state [S,…] what it holds of one sequence to another.
  void copy_sequence(int64_t from, int64_t to, const std::vector<int64_t>& symbols) {
    const Model& model = loaded_->model();
    for (int i = 0; i < model.state_count; i++) {
      const size_t bytes = sequence_bytes(model, model.states[i], symbols);
      char* const state = static_cast<char*>(states_.pointers[size_t(i)]);
      if (bytes > 0) device_->copy(state + size_t(to) * bytes, state + size_t(from) * bytes, bytes);
    }
  }

  std::vector<Counts> counters() const { return device_->counters(id_); }

  SessionMemory memory() const {
    SessionMemory use;
    for (const DeviceMemory& state : states_.owned) use.states += state.bytes();
    for (const auto* tensors : {&inputs_, &outputs_}) {
      for (const DeviceMemory& memory : tensors->owned) use.arena += memory.bytes();
    }
    for (const DeviceMemory& arena : arenas_) use.arena += arena.bytes();
    use.arena += choices_.bytes() + chosen_.bytes();
    return use;
  }

 private:
  struct Tensors {
    std::vector<DeviceMemory> owned;
    std::vector<void*> pointers;
  };

  static size_t bytes_of(const TensorSpec& spec, const std::vector<int64_t>& symbols) {
    return size_t(element_count(spec, symbols)) * dtype_bytes(spec.dtype);
  }

  Tensors allocate(const TensorSpec* specs, int count, const std::vector<int64_t>& symbols) const {
    Tensors tensors;
    for (int i = 0; i < count; i++) {
      tensors.owned.emplace_back(device_, bytes_of(specs[i], symbols), specs[i].name);
      tensors.pointers.push_back(tensors.owned.back().data());
    }
    return tensors;
  }

  Spaces spaces(void* arena) const {
    return {inputs_.pointers.data(),
            outputs_.pointers.data(),
            const_cast<void* const*>(loaded_->weights()),
            states_.pointers.data(),
            const_cast<char*>(loaded_->prepared()),
            arena,
            tokens_.data(),
            choices_.data(),
            chosen_.data()};
  }

  std::shared_ptr<const Loaded> loaded_;
  std::shared_ptr<Device> device_;
  uint64_t id_;
  Tensors states_, inputs_, outputs_;
  DeviceMemory tokens_, choices_, chosen_;
  std::vector<DeviceMemory> arenas_;
  std::vector<std::vector<void*>> pointers_;  // of each variant's launches
  std::vector<void*> pointers_of_sample_;
};

}  // namespace ultramem::addon
