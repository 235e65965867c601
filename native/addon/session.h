// One session: states, arena and pool of a caller that runs steps one after another. No napi here.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "device_session.h"
#include "fault.h"
#include "loaded.h"
#include "memory.h"
#include "model.h"

namespace ultramem::addon {

class Session {
 public:
  // symbols: a value for each of Model::symbols; those per step are overwritten by each step.
  Session(std::shared_ptr<const Loaded> loaded, int threads, std::vector<int64_t> symbols, const Observe& observe)
      : loaded_(std::move(loaded)),
        symbols_(std::move(symbols)),
        pool_(threads, loaded_->model().thread_scratch_bytes) {
    const Model& model = loaded_->model();
    if (loaded_->device() != nullptr) {
      on_device_ = std::make_unique<DeviceSession>(loaded_, symbols_, observe);
      return;
    }
    if (observe.counters) throw Fault("cannot-observe", "kernels are counted by the simt target alone", "the CPU");
    if (!observe.trace.empty()) throw Fault("cannot-observe", "launches are traced by the simt target alone", "the CPU");
    for (int i = 0; i < model.state_count; i++) {
      const TensorSpec& spec = model.states[i];
      states_.emplace_back(size_t(element_count(spec, symbols_)) * dtype_bytes(spec.dtype), spec.name);
      state_pointers_.push_back(states_.back().data());
    }
    size_t arena = 0;
    for (int i = 0; i < model.variant_count; i++) arena = std::max(arena, model.variants[i].arena_bytes);
    arena_ = Memory(arena, "the arena");
  }

  // Does not block: worker threads wake up while a step is on its way to its own.
  void rouse() { pool_.rouse(); }

  // Blocks. Pointers hold what TensorSpecs say, sized for `symbols`; a null output is not wanted, and tokens may be chosen,
  // where Model::sample is.
  void step(const std::vector<int64_t>& symbols, const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
            const volatile bool* cancel, const Choices& choices = {}) {
    const Model& model = loaded_->model();
    const int64_t tokens = tokens_of(model, symbols);
    int chosen = model.variant_count;
    while (chosen > 0 && model.variants[chosen - 1].max_tokens >= tokens) chosen--;
    if (chosen == model.variant_count) throw Fault("too-many-tokens", "no variant takes " + std::to_string(tokens) + " tokens");
    if (*cancel) throw aborted();
    loaded_->require_whole();
    if (on_device_ != nullptr) on_device_->step(chosen, tokens, symbols, inputs, outputs, choices, cancel);
    else model.variants[chosen].step({&pool_, tokens, symbols.data(), inputs.data(), outputs.data(), loaded_->weights(), loaded_->prepared(),
                                      state_pointers_.data(), arena_.data(), cancel});
    loaded_->require_whole();
    if (*cancel) throw aborted();
  }

  // Blocks. One sequence then holds what another does; both below the session symbol of every state that has one.
  void copy_sequence(int64_t from, int64_t to) {
    if (on_device_ != nullptr) return on_device_->copy_sequence(from, to, symbols_);
    const Model& model = loaded_->model();
    for (int i = 0; i < model.state_count; i++) {
      const size_t bytes = sequence_bytes(model, model.states[i], symbols_);
      char* const state = states_[size_t(i)].data();
      constexpr size_t kPiece = size_t{1} << 20;
      pool_.parallel(int64_t((bytes + kPiece - 1) / kPiece), [&](int64_t piece, int) {
        const size_t begin = size_t(piece) * kPiece;
        std::memcpy(state + size_t(to) * bytes + begin, state + size_t(from) * bytes + begin, std::min(kPiece, bytes - begin));
      });
    }
  }

  // T: the first symbol that steps set; a model without one runs as one token.
  static int64_t tokens_of(const Model& model, const std::vector<int64_t>& symbols) {
    for (size_t i = 0; i < symbols.size(); i++) {
      if (model.symbols[i].per_step) return symbols[i];
    }
    return 1;
  }

  // Of every launch of the last step, where the session observes them; not during a step.
  std::vector<Counts> counters() const { return on_device_ == nullptr ? std::vector<Counts>{} : on_device_->counters(); }

  const Model& model() const { return loaded_->model(); }
  const std::vector<int64_t>& symbols() const { return symbols_; }
  SessionMemory memory() const {
    SessionMemory use = on_device_ == nullptr ? SessionMemory{0, arena_.bytes(), 0} : on_device_->memory();
    for (const Memory& state : states_) use.states += state.bytes();
    use.scratch = pool_.scratch_bytes();
    return use;
  }
  size_t bytes() const {
    const SessionMemory use = memory();
    return use.states + use.arena;
  }

 private:
  std::shared_ptr<const Loaded> loaded_;
  std::vector<int64_t> symbols_;
  Pool pool_;
  std::vector<Memory> states_;
  std::vector<void*> state_pointers_;
  Memory arena_;
  std::unique_ptr<DeviceSession> on_device_;  // where steps do not run on the CPU: states and arena lie there
};

}  // namespace ultramem::addon
