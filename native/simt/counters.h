// Accesses of a warp's lanes as the device would make them: those of one code place and visit are one request.
#pragma once
#include <algorithm>
#include <unordered_map>

#include "memory.h"

namespace ultramem::simt {

enum SiteKind : unsigned { kGlobalLoad, kGlobalStore, kSharedLoad, kSharedStore };

struct Request {
  unsigned lanes = 0;
  uintptr_t at[kWarp];
};

// A code place in one warp, since the last barrier of the block.
struct Site {
  unsigned kind = 0;
  unsigned threads = 0;  // of the warp
  size_t bytes = 0;
  unsigned visits[kWarp] = {};
  std::vector<Request> requests;
};

struct Sites {
  struct Known {
    uint64_t key = 0;
    Site* site = nullptr;
  };
  std::unordered_map<uint64_t, Site> all;
  std::vector<Site*> used;
  Known known[256];  // the latest, by their keys
};

// Sectors of a request; adds to `distinct` those that this launch meets for the first time. `marks`: global.loaded or stored.
inline uint64_t sectors_of(const Request& request, size_t bytes, uint32_t* marks, uint32_t launch, uint64_t& distinct) {
  std::vector<uintptr_t> sectors;
  for (unsigned left = request.lanes; left; left &= left - 1) {
    const uintptr_t at = request.at[std::countr_zero(left)];
    for (uintptr_t sector = at / 32; sector <= (at + bytes - 1) / 32; sector++) sectors.push_back(sector);
  }
  std::sort(sectors.begin(), sectors.end());
  sectors.erase(std::unique(sectors.begin(), sectors.end()), sectors.end());
  for (const uintptr_t sector : sectors) {
    uint32_t& mark = marks[sector - global.base / 32];
    if (__atomic_load_n(&mark, __ATOMIC_RELAXED) == launch) continue;
    distinct += __atomic_exchange_n(&mark, launch, __ATOMIC_RELAXED) != launch;
  }
  return sectors.size();
}

// Passes beyond one for each part of the warp that is served at once: all of it, a half for 8 bytes, a quarter for 16.
inline uint64_t conflicts_of(const Request& request, size_t bytes) {
  const unsigned together = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  uint64_t conflicts = 0;
  for (unsigned first = 0; first < kWarp; first += together) {
    std::vector<uintptr_t> words;
    for (unsigned lane = first; lane < first + together; lane++) {
      if (!(request.lanes >> lane & 1)) continue;
      const uintptr_t at = request.at[lane];
      for (uintptr_t word = at / 4; word <= (at + bytes - 1) / 4; word++) words.push_back(word);
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    unsigned in_bank[32] = {};
    unsigned passes = 1;
    for (const uintptr_t word : words) passes = std::max(passes, ++in_bank[word % 32]);
    conflicts += passes - 1;
  }
  return conflicts;
}

// All lanes have come to a barrier or to their end: nothing can join a request any more.
inline void settle(Worker& w) {
  for (Site* site : w.sites->used) {
    for (const Request& request : site->requests) {
      w.counters.idle_lanes += site->threads - unsigned(std::popcount(request.lanes));
      if (site->kind == kGlobalLoad) {
        w.counters.load_requests++;
        w.counters.load_sectors +=
            sectors_of(request, site->bytes, global.loaded, w.launch->number, w.counters.distinct_load_sectors);
      } else if (site->kind == kGlobalStore) {
        w.counters.store_requests++;
        w.counters.store_sectors +=
            sectors_of(request, site->bytes, global.stored, w.launch->number, w.counters.distinct_store_sectors);
      } else {
        w.counters.shared_accesses++;
        w.counters.bank_conflicts += conflicts_of(request, site->bytes);
      }
    }
    site->requests.clear();
    std::fill(std::begin(site->visits), std::end(site->visits), 0);
  }
  w.sites->used.clear();
}

[[gnu::noinline]] inline void count(Worker& w, const Fiber& f, uintptr_t at, size_t bytes, SiteKind kind,
                                      const void* place) {
  Sites& sites = *w.sites;
  const uint64_t key = reinterpret_cast<uint64_t>(place) << 8 | f.thread / kWarp << 2 | kind;
  Sites::Known& known = sites.known[(key ^ key >> 8 ^ key >> 16) % 256];
  if (known.key != key || !known.site) known = {key, &sites.all[key]};
  Site& site = *known.site;
  if (site.requests.empty()) sites.used.push_back(&site);
  site.kind = kind;
  site.threads = std::min(kWarp, w.threads - f.thread / kWarp * kWarp);
  site.bytes = std::max(site.bytes, bytes);
  const unsigned lane = f.thread % kWarp;
  const unsigned visit = site.visits[lane]++;
  if (visit >= site.requests.size()) site.requests.emplace_back();
  Request& request = site.requests[visit];
  request.lanes |= 1u << lane;
  request.at[lane] = at;
  if (kind == kGlobalLoad) w.counters.bytes_loaded += bytes;
  if (kind == kGlobalStore) w.counters.bytes_stored += bytes;
}

inline void add(Counters& to, const Counters& from) {
  to.load_requests += from.load_requests;
  to.load_sectors += from.load_sectors;
  to.bytes_loaded += from.bytes_loaded;
  to.store_requests += from.store_requests;
  to.store_sectors += from.store_sectors;
  to.bytes_stored += from.bytes_stored;
  to.distinct_load_sectors += from.distinct_load_sectors;
  to.distinct_store_sectors += from.distinct_store_sectors;
  to.shared_accesses += from.shared_accesses;
  to.bank_conflicts += from.bank_conflicts;
  to.idle_lanes += from.idle_lanes;
  to.atomics += from.atomics;
  to.barriers += from.barriers;
  to.mma += from.mma;
}

}  // namespace ultramem::simt
