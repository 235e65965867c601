// The checks of one load or store.
#pragma once
#include "memory.h"
#include "schedule.h"

namespace ultramem::simt {

template <bool write, unsigned bytes>
inline void access(const void*, const void*) {}
inline void access_range(const void*, size_t, bool, const void*) {}
inline void atomic(const void*, unsigned, bool, const void*) {}

}  // namespace ultramem::simt
