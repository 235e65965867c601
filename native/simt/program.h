// The program or library that holds the kernels: its constants, its thread-local variables, the lines of its code.
#pragma once
#include <link.h>

#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace ultramem::simt {

struct Program {
  std::string path;
  uintptr_t bias = 0;
  std::vector<std::pair<uintptr_t, uintptr_t>> segments;
  uintptr_t tls = 0;  // of the thread that asked first
  size_t tls_bytes = 0;
  std::map<const void*, std::string> lines;

  bool holds(uintptr_t at, size_t bytes) const {
    for (const auto& [first, end] : segments)
      if (at >= first && at + bytes <= end) return true;
    return false;
  }

  // The line that a call returns to, with where it was inlined; without what stands for CUDA itself.
  const std::string& line(const void* return_address) {
    std::string& found = lines[return_address];
    if (!found.empty()) return found;
    char offset[32];
    std::snprintf(offset, sizeof offset, "0x%zx", size_t(uintptr_t(return_address) - 1 - bias));
    std::string command = "addr2line -i -e '";
    for (const char c : path) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
    command += std::string("' ") + offset + " 2>/dev/null";
    if (FILE* pipe = popen(command.c_str(), "r")) {
      char text[4096];
      while (std::fgets(text, sizeof text, pipe)) {
        std::string frame = text;
        frame = frame.substr(0, frame.find_first_of(" \n"));
        if (frame.find("simt/cuda") != std::string::npos || frame[0] == '?') continue;
        frame = frame.substr(frame.rfind('/') + 1);
        found += found.empty() ? frame : ", from " + frame;
      }
      pclose(pipe);
    }
    if (found.empty()) found = path + "+" + offset;
    return found;
  }
};

inline int describe_program(dl_phdr_info* info, size_t, void* data) {
  Program& p = *static_cast<Program*>(data);
  Program candidate;
  bool ours = false;
  const uintptr_t code = reinterpret_cast<uintptr_t>(&describe_program);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& header = info->dlpi_phdr[i];
    const uintptr_t first = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD) {
      candidate.segments.emplace_back(first, first + header.p_memsz);
      ours = ours || code - first < header.p_memsz;
    } else if (header.p_type == PT_TLS) {
      candidate.tls = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
      candidate.tls_bytes = header.p_memsz;
    }
  }
  if (!ours) return 0;
  candidate.bias = info->dlpi_addr;
  candidate.path = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
  if (candidate.path == "/proc/self/exe") {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    if (length > 0) candidate.path.assign(path, size_t(length));
  }
  p = candidate;
  return 1;
}

// Lives for ever, as the heap does.
inline Program& program() {
  static Program& p = *[] {
    Program* const found = new Program;
    dl_iterate_phdr(describe_program, found);
    return found;
  }();
  return p;
}

}  // namespace ultramem::simt
