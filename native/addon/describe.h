// Descriptors of a model as a JavaScript object: NativeDescription in src/runtime/native-addon.ts.
#pragma once
#include "napi_settings.h"

#include <string>

#include "fault.h"
#include "model.h"

namespace ultramem::addon {

inline const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::i32: return "i32";
    case DType::i8: return "i8";
    case DType::f8: return "f8";
    default: return "i64";
  }
}

inline DType dtype_of(const std::string& name) {
  for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32, DType::i64, DType::i8, DType::f8}) {
    if (name == dtype_name(dtype)) return dtype;
  }
  throw Fault("native-failure", "unknown element type " + name);
}

// A size, or the name of a symbol.
inline Napi::Value dim_value(Napi::Env env, const Model& model, int64_t dim) {
  if (dim < 0) return Napi::String::New(env, model.symbols[-dim - 1].name);
  return Napi::Number::New(env, double(dim));
}

inline Napi::Array describe_tensors(Napi::Env env, const Model& model, const TensorSpec* specs, int count) {
  Napi::Array list = Napi::Array::New(env, size_t(count));
  for (int i = 0; i < count; i++) {
    const TensorSpec& spec = specs[i];
    Napi::Array shape = Napi::Array::New(env, size_t(spec.rank));
    for (int d = 0; d < spec.rank; d++) shape.Set(uint32_t(d), dim_value(env, model, spec.dims[d]));
    Napi::Object tensor = Napi::Object::New(env);
    tensor.Set("name", spec.name);
    tensor.Set("dtype", dtype_name(spec.dtype));
    tensor.Set("shape", shape);
    tensor.Set("below", spec.below == 0 ? env.Undefined() : dim_value(env, model, spec.below));
    tensor.Set("optional", Napi::Boolean::New(env, spec.optional));
    tensor.Set("retained", Napi::Boolean::New(env, spec.retained));
    tensor.Set("placement", spec.in_file ? "file" : "memory");
    list.Set(uint32_t(i), tensor);
  }
  return list;
}

inline Napi::Object describe_model(Napi::Env env, const Model& model) {
  Napi::Array symbols = Napi::Array::New(env, size_t(model.symbol_count));
  for (int i = 0; i < model.symbol_count; i++) {
    Napi::Object symbol = Napi::Object::New(env);
    symbol.Set("name", model.symbols[i].name);
    symbol.Set("bound", double(model.symbols[i].bound));
    symbol.Set("scope", model.symbols[i].per_step ? "step" : "session");
    symbols.Set(uint32_t(i), symbol);
  }
  Napi::Array variants = Napi::Array::New(env, size_t(model.variant_count));
  for (int i = 0; i < model.variant_count; i++) {
    Napi::Object variant = Napi::Object::New(env);
    variant.Set("name", model.variants[i].name);
    variant.Set("maxTokens", double(model.variants[i].max_tokens));
    variant.Set("arenaBytes", double(model.variants[i].arena_bytes));
    variants.Set(uint32_t(i), variant);
  }
  Napi::Object all = Napi::Object::New(env);
  all.Set("name", model.name);
  all.Set("digest", model.digest);
  all.Set("march", model.march);
  all.Set("symbols", symbols);
  all.Set("inputs", describe_tensors(env, model, model.inputs, model.input_count));
  all.Set("outputs", describe_tensors(env, model, model.outputs, model.output_count));
  all.Set("weights", describe_tensors(env, model, model.weights, model.weight_count));
  all.Set("states", describe_tensors(env, model, model.states, model.state_count));
  all.Set("variants", variants);
  all.Set("onDevice", Napi::Boolean::New(env, model.open_device != nullptr));
  all.Set("samples", Napi::Boolean::New(env, model.sample != nullptr));
  all.Set("preparedBytes", double(model.prepared_bytes));
  all.Set("prepareBytes", double(model.prepare_bytes));
  return all;
}

}  // namespace ultramem::addon
