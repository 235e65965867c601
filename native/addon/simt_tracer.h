// Writes what every launch of a session finds in memory and what it leaves there, as raw files of a folder with a log beside
// them. src/build/trace-folder.ts names the files, keeps equal ones once, and makes kernels.json of the log.
#pragma once
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../simt/simt.h"
#include "device.h"
#include "fault.h"

namespace ultramem::addon {

class SimtTracer {
 public:
  explicit SimtTracer(std::string folder) : folder_(std::move(folder)) {}

  void begin_step(const std::vector<int64_t>& symbols) { symbols_ = symbols; }

  // Around a launch. `pointers`: of all launches of the list. The log:
  //   launch <variant> <place in its list> <value of each symbol …>
  //   before <argument> <bytes>        in the file <launch>.<argument>.before; arguments that share a buffer have one
  //   unwritten <argument> <begin> <end>    bytes of it that nobody wrote
  //   after <argument>
  //   done
  void before(int variant, const LaunchList& list, int launch, void* const* pointers) {
    std::string line = "launch " + std::to_string(variant) + " " + std::to_string(launch);
    for (const int64_t value : symbols_) line += " " + std::to_string(value);
    log(line);
    pieces_.clear();
    const LaunchSpec& spec = list.launches[launch];
    for (int i = 0; i < spec.arg_count; i++) {
      const ArgSpec& arg = list.args[spec.first_arg + i];
      if (arg.space == Space::none) continue;
      const int64_t times = arg.symbol < 0 ? 1 : symbols_[size_t(arg.symbol)];
      add({i, static_cast<const char*>(pointers[spec.first_arg + i]) - arg.begin, size_t(arg.bytes * times), arg.written});
    }
    for (const Piece& piece : pieces_) {
      write(piece, "before");
      log("before " + std::to_string(piece.argument) + " " + std::to_string(piece.bytes));
      for (const auto& [begin, end] : simt::unwritten(piece.at, piece.bytes))
        log("unwritten " + std::to_string(piece.argument) + " " + std::to_string(begin) + " " + std::to_string(end));
    }
    flush();
  }

  void after() {
    for (const Piece& piece : pieces_) {
      if (!piece.written) continue;
      write(piece, "after");
      log("after " + std::to_string(piece.argument));
    }
    log("done");
    flush();
    launches_++;
  }

 private:
  // A buffer, named by the first argument that points into it.
  struct Piece {
    int argument;
    const char* at;
    size_t bytes;
    bool written;
  };

  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<FILE, Close>;

  void add(const Piece& piece) {
    for (Piece& known : pieces_) {
      if (known.at != piece.at) continue;
      known.written = known.written || piece.written;
      return;
    }
    pieces_.push_back(piece);
  }

  void log(const std::string& line) { pending_ += line + "\n"; }

  void flush() {
    put(folder_ + "/log", "a", pending_.data(), pending_.size());
    pending_.clear();
  }

  void write(const Piece& piece, const char* when) const {
    const std::string name = std::to_string(launches_) + "." + std::to_string(piece.argument) + "." + when;
    put(folder_ + "/" + name, "w", piece.at, piece.bytes);
  }

  static void put(const std::string& path, const char* mode, const char* from, size_t bytes) {
    errno = 0;
    File file(std::fopen(path.c_str(), mode));
    // What a full disk refuses may come out with the last bytes only.
    const bool whole = file && std::fwrite(from, 1, bytes, file.get()) == bytes && std::fflush(file.get()) == 0;
    if (whole) return;
    const int error = errno;
    throw Fault(error == ENOSPC || error == EDQUOT ? "disk-full" : "folder-not-writable", std::strerror(error), path);
  }

  std::string folder_;
  std::vector<int64_t> symbols_;
  std::vector<Piece> pieces_;
  std::string pending_;
  uint64_t launches_ = 0;
};

}  // namespace ultramem::addon
