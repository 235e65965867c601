// Findings in words.
#pragma once
#include "memory.h"
#include "program.h"

namespace ultramem::simt {

inline const char* name_of(Kind kind) {
  static const char* names[] = {"out-of-bounds", "misaligned", "unwritten-read", "race", "divergent-barrier",
                                "unawaited-copy", "inactive-lane"};
  return names[int(kind)];
}

inline std::string thread_name(const Launch& launch, int thread) {
  if (thread < 0) return "a thread";
  const unsigned* block = launch.shape->block;
  std::string name = "thread " + std::to_string(thread);
  if (block[1] * block[2] > 1) {
    const unsigned t = unsigned(thread);
    name += " (" + std::to_string(t % block[0]) + "," + std::to_string(t / block[0] % block[1]) + "," +
            std::to_string(t / block[0] / block[1]) + ")";
  }
  return name;
}

// Where an address lies: in which allocation or how far from one.
inline std::string place_of(const Worker& w, uintptr_t at) {
  if (at - w.dynamic < w.dynamic_limit - w.dynamic)
    return "dynamic shared memory of " + std::to_string(w.dynamic_end - w.dynamic) + " bytes at byte " +
           std::to_string(at - w.dynamic);
  if (at - w.shared < w.shared_bytes) return "shared memory";
  if (at - global.base >= kGlobalBytes) return at < 4096 ? "a null pointer" : "memory that is not the device's";
  Heap& h = heap();
  std::lock_guard<std::mutex> lock(h.mutex);
  auto after = h.used.upper_bound(at);
  const auto describe = [](const Allocation& a) { return a.what + " of " + std::to_string(a.bytes) + " bytes"; };
  if (after != h.used.begin()) {
    const auto before = std::prev(after);
    if (after == h.used.end() || at - before->first <= before->second.bytes + (after->first - at))
      return describe(before->second) + " at byte " + std::to_string(at - before->first);
  }
  if (after == h.used.end()) return "memory that is not allocated";
  return describe(after->second) + " at byte -" + std::to_string(after->first - at);
}

// Empty: not a fault after all.
inline std::string say(const Launch& launch, const Worker& w, const Raw& raw) {
  Program& p = program();
  const std::string& line = p.line(raw.place);
  const std::string who = thread_name(launch, raw.thread) + " of block " + std::to_string(raw.block);
  std::string text = line + ": " + who + " ";
  if (raw.detail) {
    // One barrier may have two code places: the compiler doubles code.
    const std::string other = raw.other_place ? p.line(raw.other_place) : "";
    if (raw.kind == Kind::divergent_barrier && other == line) return "";
    std::string detail = raw.detail;
    const size_t at = detail.find("%s");
    if (at != std::string::npos) detail.replace(at, 2, std::to_string(raw.other_thread));
    return text + detail + (other.empty() ? "" : " (" + other + ")");
  }
  text += raw.write ? "writes " : "reads ";
  text += std::to_string(raw.bytes) + " bytes of " + place_of(w, raw.address);
  if (raw.kind == Kind::out_of_bounds) return text + ", out of its bounds";
  if (raw.kind == Kind::misaligned) return text + ", an address that they may not have";
  if (raw.kind == Kind::unwritten_read) return text + ", which nobody wrote";
  if (raw.kind == Kind::unawaited_copy)
    return text + ", which " + thread_name(launch, raw.other_thread) + " copies and has not waited for";
  text += ", which " + thread_name(launch, raw.other_thread);
  if (raw.other_block != raw.block) text += " of another block";
  return text + (raw.other_write ? " writes" : " reads") + " too, with no barrier between";
}

}  // namespace ultramem::simt
