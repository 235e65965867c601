// Memory that an object of JavaScript holds and V8 cannot see: it is told, so that it collects objects that nobody disposed before the
// memory runs out.
#pragma once
#include "napi_settings.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace ultramem::addon {

// Made and destroyed on the thread of its environment.
class ExternalMemory {
 public:
  ExternalMemory(napi_env env, size_t bytes) : env_(env), bytes_(int64_t(bytes)) { adjust(bytes_); }
  ~ExternalMemory() { adjust(-bytes_); }
  ExternalMemory(const ExternalMemory&) = delete;
  ExternalMemory& operator=(const ExternalMemory&) = delete;

 private:
  void adjust(int64_t bytes) {
    int64_t now = 0;
    napi_adjust_external_memory(env_, bytes, &now);
  }

  const napi_env env_;
  const int64_t bytes_;
};

// The same object; V8 counts so many bytes for as long as it lives. The last owner must be the event loop's thread.
template <class T>
std::shared_ptr<T> known_to_v8(napi_env env, std::shared_ptr<T> object, size_t bytes) {
  struct Known {
    Known(napi_env env, std::shared_ptr<T> it, size_t bytes) : object(std::move(it)), memory(env, bytes) {}
    std::shared_ptr<T> object;
    ExternalMemory memory;
  };
  const auto known = std::make_shared<Known>(env, std::move(object), bytes);
  return std::shared_ptr<T>(known, known->object.get());
}

}  // namespace ultramem::addon
