// Weights of a model, loaded and prepared; shared by all sessions opened on them. No napi here.
#pragma once
#include <algorithm>
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
#include "quantised.h"
#include "stored_elements.h"

namespace ultramem::addon {

// Where the elements of one weight come from: a range of a file, bytes in memory, or nowhere (zeros).
struct Source {
  enum class Kind { file, bytes, zeros } kind = Kind::zeros;
  DType stored = DType::f32;
  std::string path;
  uint64_t begin = 0;
  std::vector<char> bytes;
  // Of quantised elements that the model wants as floats: where their f32 factors are, and how many elements share one.
  std::shared_ptr<const Source> scale;
  int64_t shared = 1, inner = 1;
};

// The elements of a source, mapped where they lie in a file.
class SourceRange {
 public:
  SourceRange() = default;
  SourceRange(const Source& source, uint64_t bytes) : at_(source.bytes.data()) {
    if (source.kind != Source::Kind::file) return;
    mapped_ = MappedRange(source.path, source.begin, bytes);
    at_ = mapped_.data();
  }
  const char* data() const { return at_; }

 private:
  MappedRange mapped_;
  const char* at_ = nullptr;
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

// Bytes of loaded weights, by where they lie. Resident ones are pages in memory now, be it for this process or another.
struct WeightsMemory {
  size_t own = 0;  // converted, copied, or given as bytes
  size_t prepared = 0;
  size_t mapped = 0, mapped_resident = 0;
  size_t in_file = 0, in_file_resident = 0;  // of weights that stay in their file
  size_t device = 0;  // pinned memory included
};

class Loaded {
 public:
  // Reads, converts, checks and prepares. Blocks; looks at `cancel` between tensors.
  // copy: keep retained weights in memory of our own (huge pages, immune to changes of the file) instead of mapping them, but
  // for those that stay in their file.
  Loaded(const Model& model, std::vector<Source> sources, int threads, bool copy, const std::atomic<bool>& cancel,
         const Progress& progress)
      : model_(model), weights_(size_t(model.weight_count)), mapped_(weights_.size()), owned_(weights_.size()) {
    Pool pool(threads, model.thread_scratch_bytes);
    uint64_t total = 1, done = 0;  // one more for prepare
    for (int i = 0; i < model.weight_count; i++) total += byte_count(i);
    for (int i = 0; i < model.weight_count; i++) require_factors(i, sources);
    for (int i = 0; i < model.weight_count; i++) {
      if (cancel) throw aborted();
      const bool own = copy && model.weights[i].retained && !model.weights[i].in_file;
      if (weights_[size_t(i)] == nullptr) place(pool, i, std::move(sources[size_t(i)]), own);
      progress(done += byte_count(i), total);
    }
    if (cancel) throw aborted();
    prepared_ = Memory(model.prepared_bytes, "prepared weights");
    Memory scratch(model.prepare_bytes, "preparing weights");
    if (model.prepare != nullptr) model.prepare({&pool, weights_.data(), prepared_.data(), scratch.data()});
    require_whole();
    if (model.open_device != nullptr) move_to(std::shared_ptr<Device>(model.open_device()));
    require_whole();
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
  // Throws Fault weights-file-changed where a mapped file lost pages; from then on always.
  void require_whole() const {
    for (const MappedRange& range : mapped_) range.require_whole();
  }
  WeightsMemory memory() const {
    WeightsMemory use;
    use.prepared = prepared_.bytes();
    for (const Memory& memory : owned_) use.own += memory.bytes();
    for (const DeviceMemory& memory : on_device_) use.device += memory.bytes();
    for (size_t i = 0; i < mapped_.size(); i++) {
      const bool in_file = model_.weights[i].in_file;
      (in_file ? use.in_file : use.mapped) += mapped_[i].bytes();
      (in_file ? use.in_file_resident : use.mapped_resident) += mapped_[i].resident_bytes();
    }
    return use;
  }
  // Memory of our own; mapped files not counted.
  size_t bytes() const {
    size_t sum = prepared_.bytes();
    for (const Memory& memory : owned_) sum += memory.bytes();
    for (const DeviceMemory& memory : on_device_) sum += memory.bytes();
    return sum;
  }

 private:
  // Retained weights and what was prepared, to where the steps run, tables of files to pinned memory; the CPU's own memory goes.
  void move_to(std::shared_ptr<Device> device) {
    device_ = std::move(device);
    for (size_t i = 0; i < weights_.size(); i++) {
      if (!model_.weights[i].retained) {
        weights_[i] = nullptr;
        continue;
      }
      const auto where = model_.weights[i].in_file ? DeviceMemory::Where::host : DeviceMemory::Where::device;
      on_device_.emplace_back(device_, byte_count(int(i)), model_.weights[i].name, where);
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
      mapped_[at] = MappedRange(source.path, source.begin, uint64_t(n) * dtype_bytes(source.stored), spec.in_file && model_.open_device == nullptr ? Reading::rows : Reading::whole);
      from = mapped_[at].data();
    }
    const bool as_is = source.kind == Source::Kind::file && !copy && source.stored == spec.dtype && source.begin % size == 0;
    if (as_is) {
      weights_[at] = from;
    } else {
      owned_[at] = Memory(size_t(n) * size, spec.name);
      weights_[at] = owned_[at].data();
      if (is_quantised(spec.dtype) && !is_quantised(source.stored)) quantise_all(pool, i, source.stored, from);
      else if (source.scale != nullptr) dequantise_all(pool, i, source, from);
      else convert_all(pool, spec, source.stored, from, owned_[at].data(), n);
      mapped_[at].require_whole();
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

  // The weight that holds the factors of a quantised one.
  int scales_of(int i) const {
    const std::string name = std::string(model_.weights[i].name) + ".scale";
    for (int j = 0; j < model_.weight_count; j++)
      if (name == model_.weights[j].name) return j;
    throw Fault("native-failure", "a quantised weight has no factors", model_.weights[i].name);
  }

  // Factors that come with a weight, before any memory is taken.
  void require_factors(int i, const std::vector<Source>& sources) const {
    const Source& source = sources[size_t(i)];
    if (!is_quantised(source.stored) || source.kind == Source::Kind::zeros) return;
    const bool kept = is_quantised(model_.weights[i].dtype);
    const Source* const scale = kept ? &sources[size_t(scales_of(i))] : source.scale.get();
    if (scale == nullptr) throw Fault("native-failure", "a quantised weight comes without factors", model_.weights[i].name);
    const int64_t n = kept ? count(scales_of(i)) : count(i) / source.shared;
    if (scale->kind == Source::Kind::zeros) return;
    const int64_t bad = first_bad_factor(SourceRange(*scale, uint64_t(n) * 4).data(), n);
    if (bad >= 0) {
      throw Fault("weights-scale-invalid", "has a factor that is no finite number from 0, at " + std::to_string(bad), model_.weights[i].name);
    }
  }

  // Quantised elements into floats.
  void dequantise_all(Pool& pool, int i, const Source& source, const char* from) {
    const int64_t size = source.shared * source.inner, n = count(i);
    if (n == 0) return;
    const SourceRange factors(*source.scale, uint64_t(n / source.shared) * 4);
    const Factors by = {factors.data(), source.shared, source.inner};
    in_pieces(pool, n / size, size, [&](int64_t begin, int64_t end) {
      dequantise(source.stored, from, by, model_.weights[i].dtype, owned_[size_t(i)].data(), begin, end);
    });
  }

  // Floats into rows of bytes, and the weight that holds their factors.
  void quantise_all(Pool& pool, int i, DType stored, const char* from) {
    const TensorSpec& spec = model_.weights[i];
    const size_t scales = size_t(scales_of(i));
    const int64_t width = spec.dims[spec.rank - 1], rows = count(int(scales));
    owned_[scales] = Memory(size_t(rows) * 4, model_.weights[scales].name);
    weights_[scales] = owned_[scales].data();
    std::atomic<int64_t> first{rows};
    in_pieces(pool, rows, width, [&](int64_t begin, int64_t end) {
      float* const factors = reinterpret_cast<float*>(owned_[scales].data());
      const int64_t row = quantise(stored, from, width, spec.dtype, owned_[size_t(i)].data(), factors, begin, end);
      for (int64_t known = first; row >= 0 && row < known && !first.compare_exchange_weak(known, row);) {}
    });
    if (first < rows) throw Fault("weights-not-finite", "has an element that is not finite in row " + std::to_string(first), spec.name);
  }

  // body(begin, end) for items of `size` elements each, some thousand elements at a time.
  template <class Body>
  static void in_pieces(Pool& pool, int64_t items, int64_t size, const Body& body) {
    const int64_t piece = std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, size));
    pool.parallel((items + piece - 1) / piece, [&](int64_t at, int) { body(at * piece, std::min(items, (at + 1) * piece)); });
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
