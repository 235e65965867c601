// Mapped ranges of a file that is cut short. Modes; each prints `right`, or `wrong <what>`:
//   lost     several threads read on over zeros; the range says so, and one beside it, of another file, does not
//   before   a bus error of nobody's range goes to the handler from before
//   nobody   the same without such a handler: the process ends by SIGBUS
//   again    a range's place in the registry serves another, unmarked
#include <setjmp.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "addon/mapped_range.h"

using namespace ultramem::addon;

namespace {

constexpr size_t kBytes = 1 << 20;
sigjmp_buf back;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("wrong %s\n", what);
  std::exit(1);
}

std::string file_of(const char* folder, const char* name) {
  const std::string path = std::string(folder) + "/" + name;
  FILE* const file = std::fopen(path.c_str(), "w");
  for (size_t i = 0; i < kBytes; i++) std::fputc(7, file);
  std::fclose(file);
  return path;
}

size_t sum(const MappedRange& range) {
  size_t total = 0;
  for (size_t i = 0; i < range.bytes(); i++) total += static_cast<unsigned char>(range.data()[i]);
  return total;
}

bool is_whole(const MappedRange& range) {
  try {
    range.require_whole();
    return true;
  } catch (const Fault& fault) {
    expect(fault.code == "weights-file-changed" && !fault.subject.empty(), "the fault");
    return false;
  }
}

// Touches a mapping of no range past the end of its file.
void foreign(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY);
  const volatile char* at = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file, 0));
  expect(truncate(path.c_str(), 0) == 0, "cutting");
  (void)at[5000];
}

}  // namespace

int main(int, char** argv) {
  const std::string mode = argv[1];
  const std::string path = file_of(argv[2], "cut"), other = file_of(argv[2], "whole");
  if (mode == "before") {
    struct sigaction action = {};
    action.sa_handler = [](int) { siglongjmp(back, 1); };
    sigaction(SIGBUS, &action, nullptr);
  }
  MappedRange cut(path, 100, kBytes - 100, Reading::rows), whole(other, 0, kBytes);
  if (mode == "lost") {
    expect(sum(cut) == 7 * (kBytes - 100) && is_whole(cut), "the range before");
    expect(cut.resident_bytes() == cut.bytes(), "pages in memory");
    expect(truncate(path.c_str(), 8192) == 0, "cutting");
    std::thread threads[4];
    for (std::thread& thread : threads) thread = std::thread([&] { expect(sum(cut) == 7 * (8192 - 100), "zeros behind the end"); });
    for (std::thread& thread : threads) thread.join();
    expect(!is_whole(cut) && is_whole(whole), "which range is marked");
    const MappedRange moved = std::move(cut);
    expect(!is_whole(moved) && is_whole(cut), "a mark that moves along");
    expect(sum(whole) == 7 * kBytes, "the other file");
  } else if (mode == "again") {
    expect(truncate(path.c_str(), 0) == 0, "cutting");
    expect(sum(cut) == 0 && !is_whole(cut), "a lost range");
    cut = MappedRange(other, 0, kBytes);
    expect(sum(cut) == 7 * kBytes && is_whole(cut), "a range in its place");
  } else {
    if (mode == "before" && sigsetjmp(back, 1) != 0) {
      expect(is_whole(cut) && is_whole(whole), "ranges that nobody cut");
      std::printf("right\n");
      return 0;
    }
    foreign(file_of(argv[2], "foreign"));
    expect(false, "the process goes on");
  }
  std::printf("right\n");
}
