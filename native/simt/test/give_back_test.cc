// What the emulator holds of the process comes back: pages with the memory that they stand for, all else with the last of it.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "check.h"

extern "C" {
void turn_around(const int*, int*);
void all_write_one(int*);
}

#define KERNEL(name) simt::kernel<name>(#name, "model.ts:1:1")

// Pages of the process: addresses taken, or in memory.
enum Pages { taken = 0, resident = 1 };
static double gigabytes(Pages which) {
  long pages[2] = {0, 0};
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    check(std::fscanf(file, "%ld %ld", &pages[0], &pages[1]) == 2, "the figures of the process are there");
    std::fclose(file);
  }
  return double(pages[which]) * double(sysconf(_SC_PAGESIZE)) / (1 << 30);
}

static void turn(unsigned blocks, const simt::Options& options) {
  std::vector<int> values(blocks * 64);
  for (size_t i = 0; i < values.size(); i++) values[i] = int(i);
  const Buffer<int> x(values, "x"), y(values.size(), "y");
  clean(run(KERNEL(turn_around), {{blocks, 1, 1}, {64, 1, 1}, 0}, options, x.at, y.at), "turning around");
  bool right = true;
  for (size_t i = 0; i < values.size(); i++) right = right && y.at[i] == values[i / 64 * 64 + 63 - i % 64];
  check(right, "every block is turned around");
}

static std::string race() {
  const Buffer<int> y(1, "y");
  const Run out = run(KERNEL(all_write_one), {{1, 1, 1}, {64, 1, 1}, 0}, {true, false, 1}, y.at);
  return out.findings.empty() ? "" : out.findings.front().kind;
}

int main() {
  const double before = gigabytes(taken);
  for (int round = 0; round < 3; round++) {
    {
      const Buffer<int> kept(1, "kept");
      turn(100, {true, round == 1, 2});
      simt::give_back();
      check(gigabytes(taken) > before + 80, "nothing is given back while memory is allocated");
      turn(7, {true, false, 2});
    }
    check(race() == "race", "checks are made");
    simt::give_back();
    simt::give_back();
    check(gigabytes(taken) < before + 1, "all is given back");
  }

  const Buffer<int> kept(1, "kept");
  const double empty = gigabytes(resident);
  for (int round = 0; round < 3; round++) {
    const std::vector<int> zeros(size_t{8} << 20);
    turn(100, {true, false, 2});
    const double with = gigabytes(resident);
    {
      const Buffer<int> large(zeros, "large");
      check(gigabytes(resident) > with + 0.03, "32 MiB are there");
      std::vector<std::pair<size_t, size_t>> none = simt::unwritten(large.at, 4096);
      check(none.empty(), "all of it is written");
    }
    check(gigabytes(resident) < with + 0.002, "its pages are gone with it");
    const Buffer<int> again(zeros.size(), "again");
    check(simt::unwritten(again.at, 4096).size() == 1, "what comes next to its place is unwritten");
  }
  check(gigabytes(resident) < empty + 0.1, "nothing piles up");

  bool cancel = true;
  const std::vector<int> values(64 * 64, 7);
  const Buffer<int> x(values, "x"), y(values, "y");
  simt::Options options{true, false, 2};
  options.cancel = &cancel;
  Run out = run(KERNEL(turn_around), {{64, 1, 1}, {64, 1, 1}, 0}, options, x.at, y.at);
  clean(out, "a cancelled launch finds nothing");

  // Two threads launch at once: one after the other, and a cancelled one does not wait.
  std::atomic<bool> running{true};
  std::thread other([&] {
    while (running) turn(400, {true, false, 1});
  });
  for (int i = 0; i < 20; i++) {
    const auto begun = std::chrono::steady_clock::now();
    out = run(KERNEL(turn_around), {{64, 1, 1}, {64, 1, 1}, 0}, options, x.at, y.at);
    check(std::chrono::steady_clock::now() - begun < std::chrono::seconds(1), "a cancelled launch ends soon");
  }
  turn(20, {true, false, 1});
  running = false;
  other.join();
  if (failures == 0) std::printf("right\n");
  return failures != 0;
}
