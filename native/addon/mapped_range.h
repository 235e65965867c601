// A range of a file, mapped read-only: only the pages of one tensor, read when touched.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "fault.h"
#include "lost_pages.h"

namespace ultramem::addon {

// How a range will be read: soon and as a whole, or here and there, by pages that are asked for.
enum class Reading { whole, rows };

class MappedRange {
 public:
  MappedRange() = default;
  // Maps [begin, begin + bytes).
  MappedRange(const std::string& path, uint64_t begin, uint64_t bytes, Reading reading = Reading::whole) : path_(path) {
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
    madvise(base_, length_, reading == Reading::whole ? MADV_WILLNEED : MADV_RANDOM);
    watched_ = LostPages::watch(base_, base_ + (length_ + page - 1) / page * page);
  }
  ~MappedRange() { release(); }
  MappedRange(MappedRange&& o) noexcept
      : path_(std::move(o.path_)),
        base_(std::exchange(o.base_, nullptr)),
        length_(std::exchange(o.length_, 0)),
        skip_(std::exchange(o.skip_, 0)),
        watched_(std::exchange(o.watched_, nullptr)) {}
  MappedRange& operator=(MappedRange&& o) noexcept {
    if (this == &o) return *this;
    release();
    path_ = std::move(o.path_);
    watched_ = std::exchange(o.watched_, nullptr);
    base_ = std::exchange(o.base_, nullptr);
    length_ = std::exchange(o.length_, 0);
    skip_ = std::exchange(o.skip_, 0);
    return *this;
  }

  const char* data() const { return base_ == nullptr ? nullptr : base_ + skip_; }
  size_t bytes() const { return length_ - skip_; }

  // Throws Fault weights-file-changed once a page could not be read: what was read since then is zeros in part.
  void require_whole() const {
    if (watched_ == nullptr || !watched_->lost) return;
    throw Fault("weights-file-changed", "pages of it could not be read: it was shortened while mapped, or its disk fails", path_);
  }

  // Bytes of its pages that are in memory now, be it for this process or another.
  size_t resident_bytes() const {
    if (base_ == nullptr) return 0;
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), pages = (length_ + page - 1) / page, at_once = size_t{1} << 16;
    std::vector<unsigned char> present(std::min(pages, at_once));
    size_t count = 0;
    for (size_t first = 0; first < pages; first += at_once) {
      const size_t n = std::min(at_once, pages - first);
      if (mincore(base_ + first * page, n * page, present.data()) != 0) return 0;
      for (size_t i = 0; i < n; i++) count += present[i] & 1;
    }
    return std::min(count * page, bytes());
  }

 private:
  static Fault unreadable(const std::string& path) {
    return Fault("weights-unreadable", path + ": cannot be read: " + std::strerror(errno), path);
  }
  void release() {
    if (watched_ != nullptr) LostPages::forget(std::exchange(watched_, nullptr));
    if (base_ != nullptr) munmap(base_, length_);
    base_ = nullptr;
  }

  std::string path_;
  char* base_ = nullptr;
  size_t length_ = 0;
  size_t skip_ = 0;  // from the page's start to the first byte
  WatchedRange* watched_ = nullptr;
};

}  // namespace ultramem::addon
