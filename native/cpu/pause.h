// What a thread does between two looks at something that another will change.
#pragma once
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace ultramem {

inline void pause() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

}  // namespace ultramem
