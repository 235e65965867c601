// A range of a file, mapped read-only: only the pages of one tensor, read when touched.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "fault.h"

namespace ultramem::addon {

class MappedRange {
 public:
  MappedRange() = default;
  // Maps [begin, begin + bytes). A file that another process shortens while mapped kills this one (SIGBUS), as with any
  // mapping; Loaded copies instead of mapping when asked to.
  MappedRange(const std::string& path, uint64_t begin, uint64_t bytes) {
    if (bytes == 0) return;
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw unreadable(path);
    struct stat info;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || begin > uint64_t(info.st_size) ||
        bytes > uint64_t(info.st_size) - begin) {
      close(file);
      throw Fault("safetensors-truncated", path + ": the file is shorter than when its header was read", path);
    }
    const uint64_t page = uint64_t(sysconf(_SC_PAGESIZE));
    const uint64_t from = begin / page * page;
    length_ = size_t(bytes + (begin - from));
    void* at = mmap(nullptr, length_, PROT_READ, MAP_PRIVATE, file, off_t(from));
    const int error = errno;
    close(file);  // the mapping stays
    errno = error;
    if (at == MAP_FAILED) {
      if (errno == ENOMEM) throw out_of_memory("mapped weights", length_);
      throw unreadable(path);
    }
    base_ = static_cast<char*>(at);
    skip_ = size_t(begin - from);
    madvise(base_, length_, MADV_WILLNEED);
  }
  ~MappedRange() { release(); }
  MappedRange(MappedRange&& o) noexcept
      : base_(std::exchange(o.base_, nullptr)), length_(std::exchange(o.length_, 0)), skip_(std::exchange(o.skip_, 0)) {}
  MappedRange& operator=(MappedRange&& o) noexcept {
    if (this == &o) return *this;
    release();
    base_ = std::exchange(o.base_, nullptr);
    length_ = std::exchange(o.length_, 0);
    skip_ = std::exchange(o.skip_, 0);
    return *this;
  }

  const char* data() const { return base_ == nullptr ? nullptr : base_ + skip_; }

 private:
  static Fault unreadable(const std::string& path) {
    return Fault("weights-unreadable", path + ": cannot be read: " + std::strerror(errno), path);
  }
  void release() {
    if (base_ != nullptr) munmap(base_, length_);
    base_ = nullptr;
  }

  char* base_ = nullptr;
  size_t length_ = 0;
  size_t skip_ = 0;  // from the page's start to the first byte
};

}  // namespace ultramem::addon
