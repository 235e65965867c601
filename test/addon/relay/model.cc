// A hand-written model for tests of the addon: a language model over 257 ids whose favourite next id is
// table[(sum of the ids so far) mod 257], with a state, both kinds of weights, a prepare step and a step that can be slow.
#include "../../../native/addon/model.h"
#include "../../../native/cpu/pool.h"

#include <chrono>
#include <cstring>
#include <thread>

namespace ultramem {
namespace {

constexpr int64_t V = 257, C = 64;
constexpr int launches = 10;  // of prepare
const SymbolSpec symbols[] = {{"T", 16, true}, {"S", 8, false}};
const TensorSpec inputs[] = {
    {"ids", DType::i32, 1, {-1}, V, false, false},
    {"positions", DType::i32, 1, {-1}, C, false, false},
    {"sequence", DType::i32, 1, {-1}, -2, false, false},
};
const TensorSpec outputs[] = {{"logits", DType::f32, 2, {-1, V}, 0, false, false}};
const TensorSpec weights[] = {
    {"gain", DType::f32, 1, {V}, 0, false, false},        // prepare reads it
    {"table", DType::i32, 1, {V}, V, false, true},        // the step reads it
    {"delay", DType::f32, 1, {1}, 0, true, true},         // milliseconds per token, and per launch of prepare
};
const TensorSpec states[] = {{"seen", DType::f32, 2, {-2, C}, 0, false, false}};

void prepare(const PrepareArgs& a) {
  const float* gain = static_cast<const float*>(a.weights[0]);
  float* doubled = reinterpret_cast<float*>(a.prepared);
  for (int64_t v = 0; v < V; v++) doubled[v] = 2 * gain[v];
  std::memset(a.scratch, 1, 4096);
  const float delay = *static_cast<const float*>(a.weights[2]);
  for (int launch = 0; launch < launches; launch++) {
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(delay));
    if (a.stops(100)) return;
  }
}

void step(const StepArgs& a) {
  const int32_t* ids = static_cast<const int32_t*>(a.inputs[0]);
  const int32_t* positions = static_cast<const int32_t*>(a.inputs[1]);
  const int32_t* sequence = static_cast<const int32_t*>(a.inputs[2]);
  const int32_t* table = static_cast<const int32_t*>(a.weights[1]);
  const float delay = *static_cast<const float*>(a.weights[2]);
  const float* doubled = reinterpret_cast<const float*>(a.prepared);
  float* seen = static_cast<float*>(a.states[0]);
  float* logits = static_cast<float*>(a.outputs[0]);
  for (int64_t t = 0; t < a.T; t++) {
    for (int slept = 0; slept < delay; slept++) {
      if (*a.cancel) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    float* row = seen + sequence[t] * C;
    row[positions[t]] = float(ids[t]);
    int64_t sum = 0;
    for (int64_t p = 0; p <= positions[t]; p++) sum += int64_t(row[p]);
    const int64_t favourite = table[sum % V];
    a.pool->parallel(V, [&](int64_t v, int) { logits[t * V + v] = v == favourite ? doubled[v] : 0.f; });
  }
}

const Variant variants[] = {{"one", 1, 0, step, nullptr}, {"many", 16, 4096, step, nullptr}};
const Model model = {"relay", "0123456789ab", "native", symbols, 2, inputs, 3, outputs, 1, weights, 3, states, 1,
                     V * 4, 4096, launches * 100, 64, prepare, variants, 2, nullptr};

}  // namespace

const Model& ultramem_model() { return model; }

}  // namespace ultramem
