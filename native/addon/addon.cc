// node-addon-api glue of an emitted model: Weights (loaded and prepared) and Session (runs steps) over ultramem_model().
// Compiled into every model's addon. Holds no globals of an environment, so it works in worker threads. src/runtime/native-addon.ts is
// its typed face and src/runtime/native-engine.ts its only caller, which checks arguments first.
#include "napi_settings.h"

#include <memory>
#include <string>
#include <vector>

#include "describe.h"
#include "external_memory.h"
#include "loaded.h"
#include "napi_errors.h"
#include "session.h"
#include "work_thread.h"

namespace ultramem::addon {
namespace {

std::vector<int64_t> integers(const Napi::Value& value) {
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<int64_t> result;
  for (uint32_t i = 0; i < list.Length(); i++) result.push_back(list.Get(i).ToNumber().Int64Value());
  return result;
}

template <class T>
T* data_of(const Napi::TypedArray& array) {
  return reinterpret_cast<T*>(static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset());
}

// {path, begin, dtype} | {data: TypedArray, dtype} | null, perhaps with {scale: the same, shared, inner}
Source source_of(const Napi::Value& value) {
  Source source;
  if (!value.IsObject()) return source;
  const Napi::Object place = value.As<Napi::Object>();
  source.stored = dtype_of(place.Get("dtype").ToString());
  if (place.Has("data")) {
    // Copied at once: JavaScript may write to its array, or transfer it, while the load runs.
    const Napi::TypedArray data = place.Get("data").As<Napi::TypedArray>();
    const char* bytes = data_of<const char>(data);
    source.kind = Source::Kind::bytes;
    source.bytes.assign(bytes, bytes + data.ByteLength());
  } else {
    source.kind = Source::Kind::file;
    source.path = place.Get("path").ToString();
    source.begin = uint64_t(place.Get("begin").ToNumber().Int64Value());
  }
  if (place.Has("scale")) {
    source.scale = std::make_shared<const Source>(source_of(place.Get("scale")));
    source.shared = place.Get("shared").ToNumber().Int64Value();
    source.inner = place.Get("inner").ToNumber().Int64Value();
  }
  return source;
}

// Pointers of typed arrays, each exactly as long as its spec asks for; null for null, where that may be.
template <class Pointer>
std::vector<Pointer> pointers(const Napi::Value& value, const TensorSpec* specs, int count, const std::vector<int64_t>& symbols,
                              bool may_lack = false) {
  const Napi::Array list = value.As<Napi::Array>();
  if (int(list.Length()) != count) throw Fault("native-failure", "a step got another number of tensors than the model has");
  std::vector<Pointer> result;
  for (int i = 0; i < count; i++) {
    const Napi::Value item = list.Get(uint32_t(i));
    if (may_lack && item.IsNull()) {
      result.push_back(nullptr);
      continue;
    }
    if (!item.IsTypedArray()) throw Fault("native-failure", "a tensor is no typed array", specs[i].name);
    const Napi::TypedArray array = item.As<Napi::TypedArray>();
    if (int64_t(array.ByteLength()) != element_count(specs[i], symbols) * int64_t(dtype_bytes(specs[i].dtype))) {
      throw Fault("native-failure", "a tensor has another length than the model asks for", specs[i].name);
    }
    result.push_back(data_of<char>(array));
  }
  return result;
}

// Words of choices and room for as many tokens, or neither. `tokens`: of the step.
Choices choices_of(const Model& model, const Napi::Value& words, const Napi::Value& chosen, int64_t tokens) {
  if (words.IsUndefined()) return {};
  if (model.sample == nullptr || !words.IsTypedArray() || !chosen.IsTypedArray()) {
    throw Fault("native-failure", "a step was asked for tokens in a way that the model does not know");
  }
  const Napi::TypedArray from = words.As<Napi::TypedArray>(), to = chosen.As<Napi::TypedArray>();
  const size_t count = to.ByteLength() / sizeof(int32_t);
  const size_t most = size_t(tokens);
  if (count > most || from.ByteLength() != count * kChoiceWords * sizeof(int64_t)) {
    throw Fault("native-failure", "a step was asked for another number of tokens than it can give");
  }
  const Choices choices = {data_of<int64_t>(from), int(count), data_of<int32_t>(to)};
  for (size_t i = 0; i < count; i++) {
    const int64_t row = choices.words[i * kChoiceWords];
    if (row < 0 || row >= tokens) throw Fault("native-failure", "a step has no logits for a token that it was asked for");
  }
  return choices;
}

class WeightsObject : public Napi::ObjectWrap<WeightsObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Weights",
                       {InstanceMethod<&WeightsObject::load>("load"), InstanceMethod<&WeightsObject::cancel>("cancel"),
                        InstanceMethod<&WeightsObject::progress>("progress"), InstanceMethod<&WeightsObject::bytes>("bytes"),
                        InstanceMethod<&WeightsObject::memory>("memory"),
                        InstanceMethod<&WeightsObject::dispose>("dispose")});
  }
  explicit WeightsObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

  std::shared_ptr<const Loaded> loaded() const { return loaded_; }

 private:
  // Shared with the thread of the load.
  struct Call {
    std::vector<Source> sources;
    LoadProgress progress;
    std::shared_ptr<const Loaded> result;
  };

  // load(sources, threads, copy): Promise<void>; once per object.
  Napi::Value load(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::shared_ptr<Call> call = call_;
    const int threads = info[1].ToNumber().Int32Value();
    const bool copy = info[2].ToBoolean();
    or_throw(env, [&] {
      if (asked_) throw Fault("native-failure", "weights are loaded once");
      std::vector<Source> sources;
      const Napi::Array list = info[0].As<Napi::Array>();
      const Model& model = ultramem_model();
      if (int(list.Length()) != model.weight_count) throw Fault("native-failure", "wrong number of weights");
      for (uint32_t i = 0; i < list.Length(); i++) {
        Source source = source_of(list.Get(i));
        if (source.kind == Source::Kind::bytes && source.bytes.size() != stored_bytes(model.weights[i], source.stored)) {
          throw Fault("native-failure", "a weight has another length than the model asks for", model.weights[i].name);
        }
        if (source.scale != nullptr && source.scale->kind == Source::Kind::bytes &&
            int64_t(source.scale->bytes.size()) * source.shared != int64_t(stored_bytes(model.weights[i], DType::f32))) {
          throw Fault("native-failure", "a weight has another number of factors than it needs", model.weights[i].name);
        }
        sources.push_back(std::move(source));
      }
      thread_ = std::make_unique<WorkThread>(env, false);
      call->progress.total = Loaded::work(model, sources, copy);
      call->sources = std::move(sources);
    });
    asked_ = true;
    Napi::Object keep = Napi::Object::New(env);
    keep.Set("weights", info.This());
    return thread_->run(
        [call, threads, copy, cancel = cancel_] {
          call->result =
              std::make_shared<const Loaded>(ultramem_model(), std::move(call->sources), threads, copy, cancel.get(), call->progress);
        },
        cancel_,
        [this, env] {
          const std::shared_ptr<const Loaded> result = std::move(call_->result);
          if (result && !disposed_) loaded_ = known_to_v8(env, result, result->bytes());
          thread_.reset();
        },
        keep);
  }

  static size_t stored_bytes(const TensorSpec& spec, DType stored) {
    return size_t(element_count(spec, bounds(ultramem_model()))) * dtype_bytes(stored);
  }

  void cancel(const Napi::CallbackInfo&) { *static_cast<volatile bool*>(cancel_.get()) = true; }

  // [LoadProgress::Stage, bytes done, bytes in all]
  Napi::Value progress(const Napi::CallbackInfo& info) {
    Napi::Array known = Napi::Array::New(info.Env(), 3);
    known.Set(0u, call_->progress.stage.load());
    known.Set(1u, double(call_->progress.done.load()));
    known.Set(2u, double(call_->progress.total.load()));
    return known;
  }

  Napi::Value bytes(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), loaded_ ? double(loaded_->bytes()) : 0); }

  // {own, prepared, mapped, mappedResident, inFile, inFileResident, device}, bytes
  Napi::Value memory(const Napi::CallbackInfo& info) {
    const WeightsMemory use = loaded_ ? loaded_->memory() : WeightsMemory{};
    Napi::Object bytes = Napi::Object::New(info.Env());
    bytes.Set("own", double(use.own));
    bytes.Set("prepared", double(use.prepared));
    bytes.Set("mapped", double(use.mapped));
    bytes.Set("mappedResident", double(use.mapped_resident));
    bytes.Set("inFile", double(use.in_file));
    bytes.Set("inFileResident", double(use.in_file_resident));
    bytes.Set("device", double(use.device));
    return bytes;
  }

  // Memory goes when the last session on it has gone.
  void dispose(const Napi::CallbackInfo& info) {
    disposed_ = true;
    cancel(info);
    loaded_.reset();
  }

  const std::shared_ptr<Call> call_ = std::make_shared<Call>();
  const std::shared_ptr<bool> cancel_ = std::make_shared<bool>(false);
  std::unique_ptr<WorkThread> thread_;  // while the load runs
  std::shared_ptr<const Loaded> loaded_;
  bool asked_ = false, disposed_ = false;
};

// {counters?: boolean, trace?: string} | undefined
Observe observe_of(const Napi::Value& value) {
  Observe observe;
  if (!value.IsObject()) return observe;
  const Napi::Object wanted = value.As<Napi::Object>();
  observe.counters = wanted.Get("counters").ToBoolean();
  if (wanted.Get("trace").IsString()) observe.trace = wanted.Get("trace").ToString();
  return observe;
}

class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Session",
                       {InstanceMethod<&SessionObject::step>("step"), InstanceMethod<&SessionObject::cancel>("cancel"),
                        InstanceMethod<&SessionObject::copy_sequence>("copySequence"),
                        InstanceMethod<&SessionObject::counters>("counters"), InstanceMethod<&SessionObject::bytes>("bytes"),
                        InstanceMethod<&SessionObject::memory>("memory"), InstanceMethod<&SessionObject::dispose>("dispose")});
  }

  // new Session(weights, threads, symbols, observe?)
  explicit SessionObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    or_throw(info.Env(), [&] {
      const std::shared_ptr<const Loaded> loaded = WeightsObject::Unwrap(info[0].As<Napi::Object>())->loaded();
      if (!loaded) throw Fault("disposed", "the weights are not loaded");
      std::vector<int64_t> symbols = integers(info[2]);
      if (int(symbols.size()) != loaded->model().symbol_count) throw Fault("native-failure", "wrong number of symbols");
      const int threads = info[1].ToNumber().Int32Value();
      auto session = std::make_shared<Session>(loaded, threads, std::move(symbols), observe_of(info[3]));
      const SessionMemory use = session->memory();
      session_ = known_to_v8(info.Env(), std::move(session), use.states + use.arena + use.scratch);
      thread_ = std::make_unique<WorkThread>(info.Env(), unsigned(threads) < std::thread::hardware_concurrency());
    });
  }

 private:
  // step(symbols, inputs, outputs, choices?, tokens?): Promise<void>; one at a time. Arrays must be left alone until it
  // settles. Where the model samples, an output may be null and stays where it is.
  Napi::Value step(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto cancel = std::make_shared<bool>(false);
    std::function<void()> body;
    Napi::Object keep = Napi::Object::New(env);
    or_throw(env, [&] {
      if (!session_) throw Fault("disposed", "the session is disposed");
      if (running_) throw Fault("native-failure", "a step is running already");
      const Model& model = session_->model();
      std::vector<int64_t> symbols = integers(info[0]);
      check_symbols(model, symbols);
      auto inputs = pointers<const void*>(info[1], model.inputs, model.input_count, symbols);
      auto outputs = pointers<void*>(info[2], model.outputs, model.output_count, symbols, model.sample != nullptr);
      const Choices choices = choices_of(model, info[3], info[4], Session::tokens_of(model, symbols));
      keep.Set("inputs", info[1]);
      keep.Set("outputs", info[2]);
      keep.Set("choices", info[3]);
      keep.Set("tokens", info[4]);
      keep.Set("session", info.This());
      // The work shares the session, so dispose during a step frees nothing that the step uses.
      body = [session = session_, symbols = std::move(symbols), inputs = std::move(inputs),
              outputs = std::move(outputs), choices, cancel] { session->step(symbols, inputs, outputs, cancel.get(), choices); };
    });
    return run(std::move(body), std::move(cancel), keep);
  }

  // copySequence(from, to): Promise<void>; as a step, not while one runs.
  Napi::Value copy_sequence(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    std::function<void()> body;
    Napi::Object keep = Napi::Object::New(env);
    or_throw(env, [&] {
      if (!session_) throw Fault("disposed", "the session is disposed");
      if (running_) throw Fault("native-failure", "a step is running already");
      const int64_t from = info[0].ToNumber().Int64Value(), to = info[1].ToNumber().Int64Value();
      const Model& model = session_->model();
      for (int i = 0; i < model.state_count; i++) {
        const TensorSpec& state = model.states[i];
        if (sequence_bytes(model, state, session_->symbols()) == 0) continue;
        const int64_t count = session_->symbols()[size_t(-state.dims[0] - 1)];
        if (from < 0 || to < 0 || from >= count || to >= count) throw Fault("native-failure", "no such sequence", state.name);
      }
      keep.Set("session", info.This());
      body = [session = session_, from, to] { session->copy_sequence(from, to); };
    });
    return run(std::move(body), std::make_shared<bool>(false), keep);
  }

  Napi::Value run(std::function<void()> body, std::shared_ptr<bool> cancel, Napi::Object keep) {
    session_->rouse();
    running_ = cancel;
    return thread_->run(
        std::move(body), std::move(cancel),
        [this] {
          running_.reset();
          if (!session_) thread_.reset();
        },
        keep);
  }

  // Session symbols as opened, step symbols within their bounds.
  void check_symbols(const Model& model, const std::vector<int64_t>& symbols) const {
    if (int(symbols.size()) != model.symbol_count) throw Fault("native-failure", "wrong number of symbols");
    for (size_t i = 0; i < symbols.size(); i++) {
      const bool fits = model.symbols[i].per_step ? symbols[i] >= 1 && symbols[i] <= model.symbols[i].bound
                                                  : symbols[i] == session_->symbols()[i];
      if (!fits) throw Fault("native-failure", "a symbol is out of its bounds", model.symbols[i].name);
    }
  }

  void cancel(const Napi::CallbackInfo&) {
    if (running_) *static_cast<volatile bool*>(running_.get()) = true;
  }

  Napi::Value bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), session_ ? double(session_->bytes()) : 0);
  }

  // {states, arena, scratch}, bytes
  Napi::Value memory(const Napi::CallbackInfo& info) {
    const SessionMemory use = session_ ? session_->memory() : SessionMemory{};
    Napi::Object bytes = Napi::Object::New(info.Env());
    bytes.Set("states", double(use.states));
    bytes.Set("arena", double(use.arena));
    bytes.Set("scratch", double(use.scratch));
    return bytes;
  }

  // Of every launch of the last step: {name: count, …}[]
  Napi::Value counters(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Napi::Array launches = Napi::Array::New(env);
    or_throw(env, [&] {
      if (!session_) throw Fault("disposed", "the session is disposed");
      if (running_) throw Fault("native-failure", "counters are asked for while a step runs");
      for (const Counts& counts : session_->counters()) {
        Napi::Object named = Napi::Object::New(env);
        for (const auto& [name, count] : counts) named.Set(name, double(count));
        launches.Set(launches.Length(), named);
      }
    });
    return launches;
  }

  void dispose(const Napi::CallbackInfo& info) {
    cancel(info);
    session_.reset();
    if (!running_) thread_.reset();
  }

  std::shared_ptr<Session> session_;
  std::unique_ptr<WorkThread> thread_;
  std::shared_ptr<bool> running_;  // cancel flag of the step in flight
};

Napi::Value describe(const Napi::CallbackInfo& info) { return describe_model(info.Env(), ultramem_model()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("api", 4);
  exports.Set("describe", Napi::Function::New(env, describe));
  exports.Set("Weights", WeightsObject::define(env));
  exports.Set("Session", SessionObject::define(env));
  return exports;
}

}  // namespace
}  // namespace ultramem::addon

static Napi::Object init_ultramem(Napi::Env env, Napi::Object exports) { return ultramem::addon::init(env, exports); }
NODE_API_MODULE(ultramem, init_ultramem)
