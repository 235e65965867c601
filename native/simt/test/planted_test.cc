// Every fault of planted.cu is found: its kind, its line and its threads; and nothing is said of its twin.
#include <fstream>
#include <string>

#include "check.h"

#define TWINS(name)                      \
  extern "C" void name(const float*, float*); \
  extern "C" void name##_twin(const float*, float*);
TWINS(read_behind)
TWINS(write_before)
TWINS(null_pointer)
TWINS(shared_behind)
TWINS(misaligned)
TWINS(misaligned_word)
TWINS(unwritten)
TWINS(unwritten_shared)
TWINS(race)
TWINS(race_after_read)
TWINS(race_in_warp)
TWINS(race_of_halves)
TWINS(race_of_neighbours)
TWINS(race_of_blocks)
TWINS(early_return)
TWINS(two_barriers)
TWINS(absent_lane)
TWINS(inactive_source)
TWINS(diverged_vote)
TWINS(lane_left)
TWINS(lane_apart)
TWINS(unawaited)
TWINS(awaited_by_one)

static std::string faulty_line(const std::string& name) {
  std::string path = __FILE__;
  std::ifstream source(path.substr(0, path.rfind('/') + 1) + "planted.cu");
  std::string line;
  for (int number = 1; std::getline(source, line); number++) {
    const size_t at = line.find("// fault: " + name);
    if (at != std::string::npos && line.size() == at + 10 + name.size())
      return "planted.cu:" + std::to_string(number) + ":";
  }
  return "no such line";
}

// words: what the message must hold, apart by '|'.
static void plant(const simt::Kernel& bug, const simt::Kernel& twin, const char* kind, std::string words,
                  int blocks = 2, bool null = false) {
  const simt::Shape shape{{unsigned(blocks), 1, 1}, {64, 1, 1}, 256};
  std::vector<float> values(64);
  for (int i = 0; i < 64; i++) values[size_t(i)] = float(i);
  for (const simt::Kernel* kernel : {&bug, &twin}) {
    Buffer<float> x(values, "x"), y(64, "y"), filled(std::vector<float>(64), "y");
    const bool atomic = kernel == &twin && std::string(kind) == "race" && blocks == 2;
    const Run r = run(*kernel, shape, {}, null ? nullptr : x.at, atomic ? filled.at : y.at);
    if (kernel == &twin) {
      clean(r, twin.name);
      continue;
    }
    words += "|" + faulty_line(bug.name) + "|" + bug.name + "|model.ts:7:3";
    bool found = false, other = false;
    for (const simt::Finding& f : r.findings) {
      bool all = f.kind == kind && f.kernel == bug.name;
      for (size_t at = 0, end; at <= words.size(); at = end + 1) {
        end = std::min(words.find('|', at), words.size());
        all = all && f.message.find(words.substr(at, end - at)) != std::string::npos;
      }
      found = found || all;
      other = other || f.kind != kind;
    }
    if (found && !other) continue;
    std::printf("%s: expected %s with %s\n", bug.name, kind, words.c_str());
    for (const simt::Finding& f : r.findings) std::printf("  got %s: %s\n", f.kind.c_str(), f.message.c_str());
    failures++;
  }
}

#define PLANT(name, ...) \
  plant(simt::kernel<name>(#name, "model.ts:7:3"), simt::kernel<name##_twin>(#name "_twin", "model.ts:7:3"), \
        __VA_ARGS__)

int main() {
  PLANT(read_behind, "out-of-bounds", "thread 63 of block 0 reads 4 bytes of x of 256 bytes at byte 256", 1);
  PLANT(write_before, "out-of-bounds", "thread 0 of block 0 writes 4 bytes of y of 256 bytes at byte -4", 1);
  PLANT(null_pointer, "out-of-bounds", "thread 0 of block 0 reads 4 bytes of a null pointer", 1, true);
  PLANT(shared_behind, "out-of-bounds", "thread 5 of block 0 writes 4 bytes of dynamic shared memory", 1);
  PLANT(misaligned, "misaligned", "thread 9 of block 0 writes 16 bytes of y of 256 bytes at byte 4", 1);
  PLANT(misaligned_word, "misaligned", "thread 0 of block 0 reads 4 bytes of x of 256 bytes at byte 2", 1);
  PLANT(unwritten, "unwritten-read", "thread 0 of block 0 reads 4 bytes of y of 256 bytes at byte 0", 1);
  PLANT(unwritten_shared, "unwritten-read", "thread 1 of block 0 reads 4 bytes of shared memory", 1);
  PLANT(race, "race", "thread 1 of block 0 reads 4 bytes of shared memory, which thread 0 writes too", 1);
  PLANT(race_after_read, "race", "thread 31 of block 0 writes 4 bytes of shared memory, which thread 63|reads too", 1);
  PLANT(race_in_warp, "race", "thread 31 of block 0 reads 4 bytes of shared memory, which thread 30 writes too", 1);
  PLANT(race_of_halves, "race", "thread 47 of block 0 reads 4 bytes of shared memory, which thread 63 writes too", 1);
  PLANT(race_of_neighbours, "race", "thread 33 of block 0 reads 2 bytes of shared memory, which thread 32 writes too", 1);
  PLANT(race_of_blocks, "race",
        "thread 0 of block 1 writes 4 bytes of y of 256 bytes at byte 0, which thread 0 of another block");
  PLANT(early_return, "divergent-barrier", "thread 0 of block 0 waits at a barrier that thread 40 never reaches", 1);
  PLANT(two_barriers, "divergent-barrier",
        "thread 32 of block 0 waits at a barrier while thread 0 waits at another|planted.cu", 1);
  PLANT(absent_lane, "inactive-lane", "thread 0 of block 0 has thread 7 in its mask, which has returned", 1);
  PLANT(inactive_source, "inactive-lane", "thread 0 of block 0 takes the value of thread 20, which takes no part", 1);
  PLANT(diverged_vote, "inactive-lane", "thread 0 of block 0 waits for thread 16, which its mask names", 1);
  PLANT(lane_left, "inactive-lane", "thread 32 of block 0 has thread 39 in its mask, which has returned", 1);
  PLANT(lane_apart, "inactive-lane", "of block 0 waits for thread 9, which its mask names", 1);
  PLANT(unawaited, "unawaited-copy",
        "of block 0 reads 4 bytes of shared memory, which thread|copies and has not waited", 1);
  PLANT(awaited_by_one, "race", "thread 16 of block 0 reads 4 bytes of shared memory, which thread 4 writes too", 1);
  return failures != 0;
}
