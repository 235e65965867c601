// Weights of a model, loaded and prepared; shared by all sessions opened on them. No napi here.
#pragma once
#include <algorithm>
#include <atomic>
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

// What a load is at, and how many bytes of all that it goes through are done; its threads tell it to whoever asks.
struct LoadProgress {
  enum Stage : int { reading, preparing, moving };
  std::atomic<int> stage{reading};
  std::atomic<uint64_t> done{0}, total{0};
};

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

// The least of the indices that several threads find; a negative one is none.
class LeastIndex {
 public:
  void note(int64_t index) {
    for (int64_t known = least_; index >= 0 && index < known && !least_.compare_exchange_weak(known, index);) {}
  }
  bool any() const { return least_ != INT64_MAX; }
  int64_t get() const { return least_; }

 private:
  std::atomic<int64_t> least_{INT64_MAX};
};

class Loaded {
 public:
  // Reads, converts, checks and prepares. Blocks; ends with the fault aborted soon after *cancel is set.
  // copy: keep retained weights in memory of our own (huge pages, immune to changes of the file) instead of mapping them, but
  // for those that stay in their file.
  Loaded(const Model& model, std::vector<Source> sources, int threads, bool copy, const volatile bool* cancel, LoadProgress& progress)
      : model_(model), weights_(size_t(model.weight_count)), mapped_(weights_.size()), owned_(weights_.size()) {
    Load load = {Pool(threads, model.thread_scratch_bytes), copy, cancel, progress};
    progress.total = work(model, sources, copy);
    for (int i = 0; i < model.weight_count; i++) require_factors(i, sources);
    for (int i = 0; i < model.weight_count; i++) {
      load.go_on();
      if (weights_[size_t(i)] == nullptr) place(load, i, std::move(sources[size_t(i)]));
    }
    load.go_on();
    progress.stage = LoadProgress::preparing;
    prepared_ = Memory(model.prepared_bytes, "prepared weights");
    Memory scratch(model.prepare_bytes, "preparing weights");
    if (model.prepare != nullptr) model.prepare({&load.pool, weights_.data(), prepared_.data(), scratch.data(), cancel, &progress.done});
    load.go_on();
    require_whole();
    if (model.open_device != nullptr) move_to(std::shared_ptr<Device>(model.open_device()), load);
    require_whole();
    for (size_t i = 0; i < weights_.size(); i++) {
      if (model.weights[i].retained && device_ == nullptr) continue;
      if (device_ == nullptr) weights_[i] = nullptr;
      mapped_[i] = MappedRange();
      owned_[i] = Memory();
    }
  }

  // Bytes that a load goes through: of each weight that is not left as it lies in its file, of what prepare writes, and of what
  // moves to a device.
  static uint64_t work(const Model& model, const std::vector<Source>& sources, bool copy) {
    uint64_t sum = model.prepare_work;
    for (int i = 0; i < model.weight_count; i++) {
      const uint64_t bytes = byte_count(model, i);
      if (sources[size_t(i)].kind != Source::Kind::zeros) {
        if (!stays(model, i, sources[size_t(i)], copy)) sum += bytes;
        if (model.weights[i].below != 0) sum += bytes;
      }
      if (model.open_device != nullptr && model.weights[i].retained) sum += bytes;
    }
    return model.open_device == nullptr ? sum : sum + model.prepared_bytes;
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
  // What the parts of one load share.
  struct Load {
    Pool pool;
    const bool copy;
    const volatile bool* const cancel;
    LoadProgress& progress;

    void go_on() const {
      if (*cancel) throw aborted();
    }
    // body(begin, end) for items of `bytes` bytes each that are done then, a MiB or so at a time.
    template <class Body>
    void in_pieces(int64_t items, int64_t bytes, const Body& body) {
      const int64_t piece = std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(1, bytes));
      pool.parallel((items + piece - 1) / piece, [&](int64_t at, int) {
        if (*cancel) return;
        const int64_t begin = at * piece, end = std::min(items, begin + piece);
        body(begin, end);
        progress.done.fetch_add(uint64_t((end - begin) * bytes), std::memory_order_relaxed);
      });
      go_on();
    }
  };

  // Retained weights and what was prepared, to where the steps run, tables of files to pinned memory; the CPU's own memory goes.
  void move_to(std::shared_ptr<Device> device, Load& load) {
    load.progress.stage = LoadProgress::moving;
    device_ = std::move(device);
    const auto upload = [&](const void* from) {
      constexpr size_t kPiece = size_t{16} << 20;
      for (size_t begin = 0, end; begin < on_device_.back().bytes(); begin = end) {
        load.go_on();
        end = std::min(on_device_.back().bytes(), begin + kPiece);
        on_device_.back().upload(from, begin, end);
        load.progress.done += end - begin;
      }
    };
    for (size_t i = 0; i < weights_.size(); i++) {
      if (!model_.weights[i].retained) {
        weights_[i] = nullptr;
        continue;
      }
      const auto where = model_.weights[i].in_file ? DeviceMemory::Where::host : DeviceMemory::Where::device;
      on_device_.emplace_back(device_, byte_count(int(i)), model_.weights[i].name, where);
      upload(weights_[i]);
      weights_[i] = on_device_.back().data();
    }
    on_device_.emplace_back(device_, model_.prepared_bytes, "prepared weights");
    upload(prepared_.data());
    prepared_ = Memory();
  }

  static int64_t count(const Model& model, int i) { return element_count(model.weights[i], bounds(model)); }
  static uint64_t byte_count(const Model& model, int i) { return uint64_t(count(model, i)) * dtype_bytes(model.weights[i].dtype); }
  int64_t count(int i) const { return count(model_, i); }
  uint64_t byte_count(int i) const { return byte_count(model_, i); }

  // Whether a weight is read where it lies in its file.
  static bool stays(const Model& model, int i, const Source& source, bool copy) {
    const TensorSpec& spec = model.weights[i];
    if (copy && spec.retained && !spec.in_file) return false;
    return source.kind == Source::Kind::file && source.stored == spec.dtype && source.begin % dtype_bytes(spec.dtype) == 0;
  }

  void place(Load& load, int i, Source source) {
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
    if (stays(model_, i, source, load.copy)) {
      weights_[at] = from;
    } else {
      owned_[at] = Memory(size_t(n) * size, spec.name);
      weights_[at] = owned_[at].data();
      if (is_quantised(spec.dtype) && !is_quantised(source.stored)) quantise_all(load, i, source.stored, from);
      else if (source.scale != nullptr) dequantise_all(load, i, source, from);
      else convert_all(load, spec, source.stored, from, owned_[at].data(), n);
      mapped_[at].require_whole();
      mapped_[at] = MappedRange();
    }
    if (spec.below != 0) require_below(load, i, spec.below < 0 ? model_.symbols[-spec.below - 1].bound : spec.below);
  }

  void require_below(Load& load, int i, int64_t below) {
    const TensorSpec& spec = model_.weights[i];
    LeastIndex outside;
    load.in_pieces(count(i), int64_t(dtype_bytes(spec.dtype)), [&](int64_t begin, int64_t end) {
      outside.note(first_outside(spec.dtype, weights_[size_t(i)], begin, end, below));
    });
    if (outside.any()) {
      throw Fault("weights-value-range",
                  "has an element outside [0, " + std::to_string(below) + ") at " + std::to_string(outside.get()), spec.name);
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
  void dequantise_all(Load& load, int i, const Source& source, const char* from) {
    const int64_t size = source.shared * source.inner, n = count(i);
    if (n == 0) return;
    const SourceRange factors(*source.scale, uint64_t(n / source.shared) * 4);
    const Factors by = {factors.data(), source.shared, source.inner};
    const DType dtype = model_.weights[i].dtype;
    load.in_pieces(n / size, size * int64_t(dtype_bytes(dtype)), [&](int64_t begin, int64_t end) {
      dequantise(source.stored, from, by, dtype, owned_[size_t(i)].data(), begin, end);
    });
  }

  // Floats into rows of bytes, and the weight that holds their factors.
  void quantise_all(Load& load, int i, DType stored, const char* from) {
    const TensorSpec& spec = model_.weights[i];
    const size_t scales = size_t(scales_of(i));
    const int64_t width = spec.dims[spec.rank - 1], rows = count(int(scales));
    owned_[scales] = Memory(size_t(rows) * 4, model_.weights[scales].name);
    weights_[scales] = owned_[scales].data();
    LeastIndex bad;
    load.in_pieces(rows, width, [&](int64_t begin, int64_t end) {
      float* const factors = reinterpret_cast<float*>(owned_[scales].data());
      bad.note(quantise(stored, from, width, spec.dtype, owned_[size_t(i)].data(), factors, begin, end));
    });
    if (bad.any()) throw Fault("weights-not-finite", "has an element that is not finite in row " + std::to_string(bad.get()), spec.name);
  }

  static void convert_all(Load& load, const TensorSpec& spec, DType stored, const char* from, void* to, int64_t n) {
    if (!convertible(stored, spec.dtype)) {
      throw Fault("weights-dtype-unsupported", "has an element type that does not convert to the model's", spec.name);
    }
    LeastIndex misfit;
    load.in_pieces(n, int64_t(dtype_bytes(spec.dtype)), [&](int64_t begin, int64_t end) {
      misfit.note(convert_stored(stored, from, spec.dtype, to, begin, end));
    });
    if (misfit.any()) {
      throw Fault("weights-value-range", "has an element too large for i32 at " + std::to_string(misfit.get()), spec.name);
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
