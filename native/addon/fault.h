// A failure that reaches JavaScript as an error with a stable code (see src/runtime/native-engine.ts).
#pragma once
#include <stdexcept>
#include <string>

namespace ultramem::addon {

struct Fault : std::runtime_error {
  Fault(std::string code, const std::string& message, std::string subject = "")
      : std::runtime_error(message), code(std::move(code)), subject(std::move(subject)) {}
  std::string code;     // kebab-case
  std::string subject;  // the tensor or file it is about, where there is one
};

inline Fault out_of_memory(const char* what, unsigned long long bytes) {
  return Fault("out-of-memory", "no memory for " + std::string(what) + " (" + std::to_string(bytes) + " bytes)", what);
}

inline Fault aborted() { return Fault("aborted", "the call was aborted"); }

}  // namespace ultramem::addon
