// What the exchanges of a warp compute.
#pragma once
#include "block.h"

namespace ultramem::simt {

// The lane whose value a shuffle takes.
inline unsigned source_lane(int op, unsigned lane, int param, int width) {
  const unsigned segment = lane & ~unsigned(width - 1);
  const unsigned last = segment + unsigned(width) - 1;
  const unsigned p = unsigned(param);
  switch (op) {
    case kShfl: return segment | (p & unsigned(width - 1));
    case kShflUp: return lane >= segment + p && lane >= p ? lane - p : lane;
    case kShflDown: return lane + p <= last && p < kWarp ? lane + p : lane;
    default: return (lane ^ p) <= last ? (lane ^ p) % kWarp : lane;
  }
}

inline uint64_t reduce_two(int op, uint64_t a, uint64_t b) {
  const int32_t sa = int32_t(a), sb = int32_t(b);
  switch (op) {
    case 8: return uint32_t(a + b);
    case 9: return uint32_t(sa < sb ? sa : sb);
    case 10: return uint32_t(sa > sb ? sa : sb);
    case 11: return a < b ? a : b;
    case 12: return a > b ? a : b;
    case 13: return a & b;
    case 14: return a | b;
    default: return a ^ b;
  }
}

}  // namespace ultramem::simt
