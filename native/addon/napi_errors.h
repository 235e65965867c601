// Failures of native code as JavaScript's errors, with a code.
#pragma once
#include "napi_settings.h"

#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "fault.h"

namespace ultramem::addon {

// An Error with `code` and `subject`, which src/runtime/native-engine.ts turns into an UltramemError.
inline Napi::Error error_of(Napi::Env env, const Fault& fault) {
  Napi::Error error = Napi::Error::New(env, fault.what());
  error.Set("code", fault.code);
  if (!fault.subject.empty()) error.Set("subject", fault.subject);
  return error;
}

// Runs body; whatever it throws comes back as a Fault.
template <class Body>
std::optional<Fault> fault_of(const Body& body) {
  try {
    body();
    return std::nullopt;
  } catch (const Fault& fault) {
    return fault;
  } catch (const std::bad_alloc&) {
    return Fault("out-of-memory", "no memory left");
  } catch (const std::system_error& error) {
    return Fault("out-of-memory", std::string("the system gives no more threads: ") + error.what());
  } catch (const std::exception& exception) {
    return Fault("native-failure", exception.what());
  }
}

// For calls from JavaScript that run at once.
template <class Body>
void or_throw(Napi::Env env, const Body& body) {
  if (const std::optional<Fault> fault = fault_of(body)) throw error_of(env, *fault);
}

}  // namespace ultramem::addon
