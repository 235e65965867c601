// Reads 1 GiB in order and prints bytes per second as JSON: once for every line on stdin, so that a program can have it measured
// between its own rounds. Build: as layer.cc. Run: read-bandwidth THREADS
#include "machine_limits.h"

using namespace ultramem;

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) return std::fprintf(stderr, "read-bandwidth THREADS, 1 or more\n"), 2;
  Pool pool(threads, 0);
  const LargeArray array(pool, size_t(1) << 30);
  array.read(pool);
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c != '\n') continue;
    std::printf("{\"read\":%.6g}\n", std::max(array.read(pool), array.read(pool)) * 1e9);
    std::fflush(stdout);
  }
}
