// Zeroed anonymous memory, page-aligned, asking for huge pages where it is large: random row reads then miss the TLB less.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <utility>

#include "fault.h"

namespace ultramem::addon {

class Memory {
 public:
  Memory() = default;
  // what: named in the error when there is no memory.
  Memory(size_t bytes, const char* what) : bytes_(bytes) {
    if (bytes == 0) return;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw out_of_memory(what, bytes);
    data_ = static_cast<char*>(at);
#ifdef MADV_HUGEPAGE
    if (bytes >= kHugePage) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  }
  ~Memory() { release(); }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    if (this == &other) return *this;
    release();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;

  void release() {
    if (data_ != nullptr) munmap(data_, bytes_);
    data_ = nullptr;
    bytes_ = 0;
  }

  char* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace ultramem::addon
