// What an emitted model is, seen from the addon: descriptors of its tensors, and three entry points over raw pointers.
// Emitted sources define one `const Model& ultramem_model()`. Compiles alone; no napi here.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ultramem {

class Pool;
struct LaunchList;
namespace addon {
class Device;
}

enum class DType : uint8_t { f32, f16, bf16, i32, i64, i8, f8 };

constexpr size_t dtype_bytes(DType d) {
  return d == DType::i64 ? 8 : (d == DType::f16 || d == DType::bf16) ? 2 : (d == DType::i8 || d == DType::f8) ? 1 : 4;
}

// Symbolic dims are stored as -(1 + index into Model::symbols).
constexpr int kMaxRank = 8;
struct TensorSpec {
  const char* name;
  DType dtype;
  int rank;
  int64_t dims[kMaxRank];
  int64_t below;  // integer tensors: exclusive upper bound of every element, a symbol as above; 0 = unchecked
  bool optional;  // weights: zeros stand in when absent
  bool retained;  // weights: read by the step itself, so kept after prepare
  bool in_file = false;  // weights: rows are gathered from the mapped file, which may be larger than memory
};

struct SymbolSpec {
  const char* name;
  int64_t bound;  // inclusive
  bool per_step;  // T; else fixed per session, as S
};

// Pointers for prepare: weights[i] has the declared dtype and shape of Model::weights[i]; 64-byte alignment is not promised for weights.
struct PrepareArgs {
  Pool* pool;
  const void* const* weights;
  char* prepared;  // Model::prepared_bytes, 64-byte aligned, written here and kept
  char* scratch;   // Model::prepare_bytes, 64-byte aligned, freed afterwards
  const volatile bool* cancel;  // looked at between launches; a cancelled prepare leaves `prepared` undefined
  std::atomic<uint64_t>* done;  // grows by Model::prepare_work

  // Launches wrote so many bytes: whether to stop there.
  bool stops(uint64_t written) const {
    done->fetch_add(written, std::memory_order_relaxed);
    return *cancel;
  }
};

struct StepArgs {
  Pool* pool;
  int64_t T;                    // tokens of this step, 1 ≤ T ≤ Variant::max_tokens
  const int64_t* symbols;       // value of each Model::symbols entry for this step
  const void* const* inputs;    // by index of Model::inputs
  void* const* outputs;         // by index of Model::outputs, sized for T
  const void* const* weights;   // retained ones only; null otherwise
  const char* prepared;
  void* const* states;          // by index of Model::states
  char* arena;                  // Variant::arena_bytes, 64-byte aligned
  const volatile bool* cancel;  // looked at between launches; a cancelled step leaves outputs undefined
};

struct Variant {
  const char* name;    // one, few, many
  int64_t max_tokens;  // the variant with the smallest max_tokens ≥ T runs
  size_t arena_bytes;
  void (*step)(const StepArgs&);  // null where steps run on a device
  const LaunchList* launches;     // null where they do not
};

struct Model {
  const char* name;
  const char* digest;  // of everything that went into this binary
  const char* march;
  const SymbolSpec* symbols;
  int symbol_count;
  const TensorSpec* inputs;
  int input_count;
  const TensorSpec* outputs;
  int output_count;
  const TensorSpec* weights;
  int weight_count;
  const TensorSpec* states;
  int state_count;
  size_t prepared_bytes;
  size_t prepare_bytes;
  uint64_t prepare_work;        // bytes that prepare tells as written
  size_t thread_scratch_bytes;  // per worker of the pool
  void (*prepare)(const PrepareArgs&);
  const Variant* variants;  // ascending max_tokens
  int variant_count;
  addon::Device* (*open_device)();     // a device of whoever calls; null: steps run on the CPU
  const LaunchList* sample = nullptr;  // chooses tokens from output `logits` on the device; null: who asks does it
};

// Defined by the emitted sources.
const Model& ultramem_model();

}  // namespace ultramem
