// Weights of a model, loaded and prepared; shared by all sessions opened on them. No napi here.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../cpu/pool.h"
#include "device.h"
#include "fault.h"
#include "mapped_range.h"
#include "memory.h"
#include "model.h"
#include "stored_elements.h"

namespace ultramem::addon {

// Where the elements of one weight come from: a range of a file, bytes in memory, or nowhere (zeros).
struct Source {
  enum class Kind { file, bytes, zeros } kind = Kind::zeros;
  DType stored = DType::f32;
  std::string path;
  uint64_t begin = 0;
  std::vector<char> bytes;
};

// Called with bytes done and bytes in all.
using Progress = std::function<void(uint64_t, uint64_t)>;

inline int64_t element_count(const TensorSpec& spec, const std::vector<int64_t>& symbols) {
  int64_t count = 1;
  for (int i = 0; i < spec.rank; i++) {
    const int64_t dim = spec.dims[i] < 0 ? symbols[size_t(-spec.dims[i] - 1)] : spec.dims[i];
    if (__builtin_mul_overflow(count, dim, &count)) throw out_of_memory(spec.name, ~0ull);
  }
  return count;
}

// Of a state [S,…] with a session symbol first, the bytes of one sequence; 0 of another, which all sequences share.
inline size_t sequence_bytes(const Model& model, const TensorSpec& state, const std::vector<int64_t>& symbols) {
  if (state.rank == 0 || state.dims[0] >= 0) return 0;
  const size_t symbol = size_t(-state.dims[0] - 1);
  if (model.symbols[symbol].per_step) return 0;
  return size_t(element_count(state, symbols) / symbols[symbol]) * dtype_bytes(state.dtype);
}

// Weights have no step symbols; a session symbol counts with its bound.
inline std::vector<int64_t> bounds(const Model& model) {
  std::vector<int64_t> result;
  for (int i = 0; i < model.symbol_count; i++) result.push_back(model.symbols[i].bound);
  return result;
}

class Loaded {
 public:
  // Reads, converts, checks and prepares. Blocks; looks at `cancel` between tensors.
  // copy: keep retained weights in memory of our own (huge pages, immune to changes of the file) instead of mapping them.
  Loaded(const Model& model, std::vector<Source> sources, int threads, bool copy, const std::atomic<bool>& cancel,
         const Progress& progress)
      : model_(model), weights_(size_t(model.weight_count)), mapped_(weights_.size()), owned_(weights_.size()) {
    Pool pool(threads, model.thread_scratch_bytes);
    uint64_t total = 1, done = 0;  // one more for prepare
    for (int i = 0; i < model.weight_count; i++) total += byte_count(i);
    for (int i = 0; i < model.weight_count; i++) {
      if (cancel) throw aborted();
      place(pool, i, std::move(sources[size_t(i)]), copy && model.weights[i].retained);
      progress(done += byte_count(i), total);
    }
    if (cancel) throw aborted();
    prepared_ = Memory(model.prepared_bytes, "prepared weights");
    Memory scratch(model.prepare_bytes, "preparing weights");
    if (model.prepare != nullptr) model.prepare({&pool, weights_.data(), prepared_.data(), scratch.data()});
    if (model.open_device != nullptr) move_to(std::shared_ptr<Device>(model.open_device()));
    for (size_t i = 0; i < weights_.size(); i++) {
      if (model.weights[i].retained && device_ == nullptr) continue;
      if (device_ == nullptr) weights_[i] = nullptr;
      mapped_[i] = MappedRange();
      owned_[i] = Memory();
    }
    progress(total, total);
  }

  const Model& model() const { return model_; }
  // Null: steps run on the CPU. Else weights() and prepared() are addresses on it.
  const std::shared_ptr<Device>& device() const { return device_; }
  const void* const* weights() const { return weights_.data(); }
  const char* prepared() const { return device_ == nullptr ? prepared_.data() : static_cast<const char*>(on_device_.back().data()); }
  // Memory of our own; mapped files not counted.
  size_t bytes() const {
    size_t sum = prepared_.bytes();
    for (const Memory& memory : owned_) sum += memory.bytes();
    for (const DeviceMemory& memory : on_device_) sum += memory.bytes();
    return sum;
  }

 private:
  // Retained weights and what was prepared, to where the steps run; the CPU's own memory goes.
  void move_to(std::shared_ptr<Device> device) {
    device_ = std::move(device);
    for (size_t i = 0; i < weights_.size(); i++) {
      if (!model_.weights[i].retained) {
        weights_[i] = nullptr;
        continue;
      }
      on_device_.emplace_back(device_, byte_count(int(i)), model_.weights[i].name);
      on_device_.back().upload(weights_[i]);
      weights_[i] = on_device_.back().data();
    }
    on_device_.emplace_back(device_, model_.prepared_bytes, "prepared weights");
    on_device_.back().upload(prepared_.data());
    prepared_ = Memory();
  }

  int64_t count(int i) const { return element_count(model_.weights[i], bounds(model_)); }
  uint64_t byte_count(int i) const { return uint64_t(count(i)) * dtype_bytes(model_.weights[i].dtype); }

  void place(Pool& pool, int i, Source source, bool copy) {
    const TensorSpec& spec = model_.weights[i];
    const size_t at = size_t(i);
    const int64_t n = count(i);
    const size_t size = dtype_bytes(spec.dtype);
    if (source.kind == Source::Kind::zeros) {
      owned_[at] = Memory(size_t(n) * size, spec.name);
      weights_[at] = owned_[at].data();
      return;
    }
    const char* from = source.bytes.data();
    if (source.kind == Source::Kind::file) {
      mapped_[at] = MappedRange(source.path, source.begin, uint64_t(n) * dtype_bytes(source.stored));
      from = mapped_[at].data();
    }
    const bool as_is = source.kind == Source::Kind::file && !copy && source.stored == spec.dtype && source.begin % size == 0;
    if (as_is) {
      weights_[at] = from;
    } else {
      owned_[at] = Memory(size_t(n) * size, spec.name);
      weights_[at] = owned_[at].data();
      convert_all(pool, spec, source.stored, from, owned_[at].data(), n);
      mapped_[at] = MappedRange();
    }
    if (spec.below != 0) {
      const int64_t below = spec.below < 0 ? model_.symbols[-spec.below - 1].bound : spec.below;
      const int64_t outside = first_outside(spec.dtype, weights_[at], n, below);
      if (outside >= 0) {
        throw Fault("weights-value-range",
                    "has an element outside [0, " + std::to_string(below) + ") at " + std::to_string(outside), spec.name);
      }
    }
  }

  static void convert_all(Pool& pool, const TensorSpec& spec, DType stored, const char* from, void* to, int64_t n) {
    constexpr int64_t kPiece = 1 << 18;
    std::atomic<int64_t> misfit{-1};
    if (!convertible(stored, spec.dtype)) {
      throw Fault("weights-dtype-unsupported", "has an element type that does not convert to the model's", spec.name);
    }
    pool.parallel((n + kPiece - 1) / kPiece, [&](int64_t piece, int) {
      const int64_t begin = piece * kPiece, end = begin + kPiece < n ? begin + kPiece : n;
      const int64_t at = convert_stored(stored, from, spec.dtype, to, begin, end);
      if (at >= 0) misfit = at;
    });
    if (misfit >= 0) {
      throw Fault("weights-value-range", "has an element too large for i32 at " + std::to_string(misfit.load()), spec.name);
    }
  }

  const Model& model_;
  std::vector<const void*> weights_;  // declared dtype; null once prepare is done unless retained
  std::vector<MappedRange> mapped_;
  std::vector<Memory> owned_;
  Memory prepared_;
  std::shared_ptr<Device> device_;
  std::vector<DeviceMemory> on_device_;  // prepared comes last
};

}  // namespace ultramem::addon
