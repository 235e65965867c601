// Runs an emitted model without Node: reads weights, sessions and steps from one file, writes all outputs to another. Every
// tensor is an allocation of exactly its size, so that a sanitizer sees what lies outside; what nobody wrote holds NaN.
//
//   step-program <data> <outputs> <threads>
//   data: every weight; then int64 sessions; per session int64 × symbols, int64 steps; per step int64 T, every input
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "addon/model.h"
#include "cpu/pool.h"

namespace {

using namespace ultramem;

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using Bytes = std::unique_ptr<char, Free>;

// 64-byte aligned as the addon's memory is, but with nothing behind the last byte. All bits set: NaN, or an index far out.
Bytes allocate(size_t bytes, int fill = 0xff) {
  void* at = nullptr;
  if (posix_memalign(&at, 64, bytes == 0 ? 1 : bytes) != 0) std::abort();
  std::memset(at, fill, bytes);
  return Bytes(static_cast<char*>(at));
}

size_t bytes_of(const TensorSpec& spec, const std::vector<int64_t>& symbols) {
  int64_t count = 1;
  for (int i = 0; i < spec.rank; i++) count *= spec.dims[i] < 0 ? symbols[size_t(-spec.dims[i] - 1)] : spec.dims[i];
  return size_t(count) * dtype_bytes(spec.dtype);
}

void read(std::FILE* file, void* to, size_t bytes) {
  if (bytes > 0 && std::fread(to, 1, bytes, file) != bytes) {
    std::fprintf(stderr, "the data end too early\n");
    std::exit(2);
  }
}

int64_t read_integer(std::FILE* file) {
  int64_t value;
  read(file, &value, sizeof value);
  return value;
}

struct Tensors {
  std::vector<Bytes> owned;
  std::vector<void*> pointers;
  void add(size_t bytes, int fill) {
    owned.push_back(allocate(bytes, fill));
    pointers.push_back(owned.back().get());
  }
};

const void* const* constant(const Tensors& tensors) { return const_cast<const void* const*>(tensors.pointers.data()); }

}  // namespace

int main(int, char** argv) {
  std::FILE* data = std::fopen(argv[1], "rb");
  std::FILE* results = std::fopen(argv[2], "wb");
  if (!data || !results) return 2;
  const Model& model = ultramem_model();
  const size_t symbol_count = size_t(model.symbol_count);
  std::vector<int64_t> symbols;
  for (size_t i = 0; i < symbol_count; i++) symbols.push_back(model.symbols[i].bound);
  Pool pool(std::atoi(argv[3]), model.thread_scratch_bytes);

  Tensors weights;
  for (int i = 0; i < model.weight_count; i++) {
    const size_t bytes = bytes_of(model.weights[i], symbols);
    weights.add(bytes, 0);
    read(data, weights.pointers.back(), bytes);
  }
  const bool cancel = false;
  const Bytes prepared = allocate(model.prepared_bytes);
  if (model.prepare) {
    const Bytes scratch = allocate(model.prepare_bytes);
    std::atomic<uint64_t> done{0};
    model.prepare({&pool, constant(weights), prepared.get(), scratch.get(), &cancel, &done});
    if (done != model.prepare_work) {
      std::fprintf(stderr, "prepare tells %zu bytes of %zu\n", size_t(done), size_t(model.prepare_work));
      return 3;
    }
  }
  for (int i = 0; i < model.weight_count; i++) {
    if (model.weights[i].retained) continue;
    weights.owned[size_t(i)].reset();  // a step that reads it reads freed memory
  }

  for (int64_t sessions = read_integer(data); sessions > 0; sessions--) {
    for (size_t i = 0; i < symbol_count; i++) symbols[i] = read_integer(data);
    Tensors states;
    for (int i = 0; i < model.state_count; i++) states.add(bytes_of(model.states[i], symbols), 0);
    for (int64_t steps = read_integer(data); steps > 0; steps--) {
      const int64_t tokens = read_integer(data);
      for (size_t i = 0; i < symbol_count; i++)
        if (model.symbols[i].per_step) symbols[i] = tokens;
      Tensors inputs, outputs;
      for (int i = 0; i < model.input_count; i++) {
        const size_t bytes = bytes_of(model.inputs[i], symbols);
        inputs.add(bytes, 0);
        read(data, inputs.pointers.back(), bytes);
      }
      for (int i = 0; i < model.output_count; i++) outputs.add(bytes_of(model.outputs[i], symbols), 0xff);
      const Variant* variant = model.variants;
      while (variant->max_tokens < tokens) variant++;
      const Bytes arena = allocate(variant->arena_bytes);
      variant->step({&pool, tokens, symbols.data(), constant(inputs), outputs.pointers.data(), constant(weights),
                     prepared.get(), states.pointers.data(), arena.get(), &cancel});
      for (int i = 0; i < model.output_count; i++)
        std::fwrite(outputs.pointers[size_t(i)], 1, bytes_of(model.outputs[i], symbols), results);
    }
  }
  return std::fclose(results) == 0 ? 0 : 2;
}
