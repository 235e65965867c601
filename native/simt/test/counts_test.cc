// Counters of counts.cu against what a warp of 32 lanes must give.
#include "check.h"

extern "C" {
void unit(const float*, float*);
void unit16(const float*, float*);
void stride2(const float*, float*);
void stride8(const float*, float*);
void stride32(const float*, float*);
void shifted(const float*, float*);
void broadcast(const float*, float*);
void scattered(const float*, float*);
void triangle(const float*, float*);
void again(const float*, float*);
void quarter(const float*, float*);
void shared1(const float*, float*);
void shared2(const float*, float*);
void shared8(const float*, float*);
void shared32(const float*, float*);
void shared33(const float*, float*);
void shared_wide(const float*, float*);
void atomics(const float*, float*);
}

struct Expected {
  simt::Kernel kernel;
  uint64_t load_requests, load_sectors, bytes_loaded;
  uint64_t store_requests, store_sectors, bytes_stored;
  uint64_t shared_accesses = 0, bank_conflicts = 0, barriers = 0, atomics = 0, idle_lanes = 0;
  uint64_t reads_of_a_sector = 1;  // by requests that share it
};

#define KERNEL(name) simt::kernel<name>(#name, "model.ts:1:1")

static void compare(const char* kernel, const char* what, uint64_t got, uint64_t expected) {
  if (got == expected) return;
  std::printf("%s: %s: %llu, not %llu\n", kernel, what, (unsigned long long)got, (unsigned long long)expected);
  failures++;
}

int main() {
  const Expected all[] = {
      {KERNEL(unit), 1, 4, 128, 1, 4, 128},
      {KERNEL(unit16), 1, 16, 512, 1, 16, 512},
      {KERNEL(stride2), 1, 8, 128, 1, 8, 128},
      {KERNEL(stride8), 1, 32, 128, 1, 32, 128},
      {KERNEL(stride32), 1, 32, 128, 1, 32, 128},
      {KERNEL(shifted), 1, 5, 128, 1, 5, 128},
      {KERNEL(broadcast), 1, 1, 128, 1, 4, 128},
      {KERNEL(scattered), 1, 32, 128, 1, 32, 128},
      // Visit i is made by lanes i to 31: sectors 4 for i up to 7, 3 up to 15, and so on.
      {KERNEL(triangle), 32, 8 * (4 + 3 + 2 + 1), 4 * 32 * 33 / 2, 1, 4, 128, 0, 0, 0, 0, 32 * 31 / 2},
      {KERNEL(again), 4, 16, 512, 1, 4, 128, 0, 0, 0, 0, 0, 4},
      {KERNEL(quarter), 1, 4, 32, 1, 4, 32, 0, 0, 0, 0, 2 * 24},
      {KERNEL(shared1), 1, 4, 128, 1, 4, 128, 2, 0, 1},
      {KERNEL(shared2), 1, 4, 128, 1, 4, 128, 2, 2, 1},
      {KERNEL(shared8), 1, 4, 128, 1, 4, 128, 2, 14, 1},
      {KERNEL(shared32), 1, 4, 128, 1, 4, 128, 2, 62, 1},
      {KERNEL(shared33), 1, 4, 128, 1, 4, 128, 2, 0, 1},
      {KERNEL(shared_wide), 1, 16, 512, 1, 16, 512, 2, 0, 1},
      {KERNEL(atomics), 1, 4, 128, 0, 0, 0, 0, 0, 0, 32},
  };
  Buffer<float> x(std::vector<float>(2048, 1.0f), "x"), y(std::vector<float>(2048), "y");
  for (const bool checks : {false, true}) {
    for (const Expected& e : all) {
      const simt::Options options{checks, true, 1};
      const Run r = run(e.kernel, {{1, 1, 1}, {32, 1, 1}, 0}, options, x.at, y.at);
      clean(r, e.kernel.name);
      const simt::Counters& c = r.counters;
      compare(e.kernel.name, "load requests", c.load_requests, e.load_requests);
      compare(e.kernel.name, "load sectors", c.load_sectors, e.load_sectors);
      compare(e.kernel.name, "bytes loaded", c.bytes_loaded, e.bytes_loaded);
      compare(e.kernel.name, "store requests", c.store_requests, e.store_requests);
      compare(e.kernel.name, "store sectors", c.store_sectors, e.store_sectors);
      compare(e.kernel.name, "bytes stored", c.bytes_stored, e.bytes_stored);
      compare(e.kernel.name, "shared accesses", c.shared_accesses, e.shared_accesses);
      compare(e.kernel.name, "bank conflicts", c.bank_conflicts, e.bank_conflicts);
      compare(e.kernel.name, "barriers", c.barriers, e.barriers);
      compare(e.kernel.name, "atomics", c.atomics, e.atomics);
      compare(e.kernel.name, "distinct load sectors", c.distinct_load_sectors, e.load_sectors / e.reads_of_a_sector);
      compare(e.kernel.name, "distinct store sectors", c.distinct_store_sectors, e.store_sectors);
      compare(e.kernel.name, "idle lanes", c.idle_lanes, e.idle_lanes);
      compare(e.kernel.name, "launches", c.launches, 1);
    }
  }
  return failures != 0;
}
