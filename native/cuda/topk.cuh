// Selection of the K best of many values. Value and index make one integer whose order is the order of top-k: descending;
// equal values: the lower index first; NaN last. All keys differ, so the result does not depend on who offers what when.
#pragma once
#include "device.cuh"
#include "floats.cuh"

namespace ultramem::cuda {

// Zero is no value at all; a NaN has an upper half of zero.
using Key = unsigned long long;

// Unsigned integers in the order of the values: equal for +0 and −0, zero for every NaN.
__device__ inline unsigned order_bits(float value) {
  if (value != value) return 0;
  const unsigned bits = __float_as_uint(value + 0.0f);
  return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}
__device__ inline Key make_key(float value, int index) {
  return Key(order_bits(value)) << 32 | Key(~unsigned(index));
}
__device__ inline int key_index(Key key) { return int(~unsigned(key)); }
__device__ inline float key_value(Key key) {
  const unsigned bits = unsigned(key >> 32);
  if (bits == 0) return __uint_as_float(0x7fffffffu);
  return __uint_as_float(bits >> 31 ? bits ^ 0x80000000u : ~bits);
}

// Leaves the greater of this lane's key and its partner's where `greater_stays`, else the lesser.
__device__ inline Key exchange(Key key, int stride, bool greater_stays) {
  const Key other = __shfl_xor_sync(ALL_LANES, key, stride);
  return (key > other) == greater_stays ? key : other;
}

// The keys of a warp, ascending by lane.
__device__ inline Key sort_ascending(Key key) {
  const int lane = int(threadIdx.x & 31);
#pragma unroll
  for (int size = 2; size <= 32; size *= 2)
#pragma unroll
    for (int stride = size / 2; stride > 0; stride /= 2)
      key = exchange(key, stride, ((lane & stride) != 0) == ((lane & size) == 0));
  return key;
}

// The best of what was offered to a warp, in registers, descending: the key of rank chunk * 32 + lane is keys[chunk] of
// that lane. Every function is called by whole warps.
template <int K>
struct TopList {
  static_assert(1 <= K && K <= 256, "K of a top-k on a device");
  static constexpr int CHUNKS = K <= 32 ? 1 : K <= 64 ? 2 : K <= 128 ? 4 : 8;
  static constexpr int SIZE = CHUNKS * 32;

  Key keys[CHUNKS];
  Key last;  // of rank K − 1: nothing below it can enter

  __device__ void clear() {
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) keys[c] = 0;
    last = 0;
  }

  // Offers one key per lane.
  __device__ void offer(Key key) {
    if (!__any_sync(ALL_LANES, key > last)) return;
    key = sort_ascending(key);
    // The lowest of the list against the new ones in reverse: the greater ones and the rest of the list are bitonic.
    if (key > keys[CHUNKS - 1]) keys[CHUNKS - 1] = key;
    sort_bitonic();
  }

  // Takes in another list, in memory and descending.
  __device__ void merge(const Key* list) {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
      const Key key = list[SIZE - 1 - c * 32 - lane];
      if (key > keys[c]) keys[c] = key;
    }
    sort_bitonic();
  }

  // Takes in the K best of another list, in memory and descending; K of them, not SIZE.
  __device__ void merge_short(const Key* list) {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
      const int rank = SIZE - 1 - c * 32 - lane;
      const Key key = rank < K ? list[rank] : 0;
      if (key > keys[c]) keys[c] = key;
    }
    sort_bitonic();
  }

  __device__ void load(const Key* list) {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) keys[c] = list[c * 32 + lane];
    find_last();
  }

  __device__ void store(Key* list) const {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) list[c * 32 + lane] = keys[c];
  }

  // take(rank, key) for the K best, each in the lane that holds it.
  template <class Take>
  __device__ void each(const Take& take) const {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++)
      if (c * 32 + lane < K) take(c * 32 + lane, keys[c]);
  }

 private:
  __device__ void sort_bitonic() {
    const int lane = int(threadIdx.x & 31);
#pragma unroll
    for (int step = CHUNKS / 2; step > 0; step /= 2)
#pragma unroll
      for (int c = 0; c < CHUNKS; c++)
        if ((c & step) == 0 && keys[c] < keys[c + step]) {
          const Key lesser = keys[c];
          keys[c] = keys[c + step];
          keys[c + step] = lesser;
        }
#pragma unroll
    for (int stride = 16; stride > 0; stride /= 2)
#pragma unroll
      for (int c = 0; c < CHUNKS; c++) keys[c] = exchange(keys[c], stride, (lane & stride) == 0);
    find_last();
  }

  __device__ void find_last() { last = __shfl_sync(ALL_LANES, keys[(K - 1) / 32], (K - 1) % 32); }
};

// The lists of the first WARPS warps of a block, merged into that of warp 0. All warps call it. `memory`: shared, WARPS / 2
// lists of SIZE, behind a barrier to whatever it held before.
template <int WARPS, int K>
__device__ inline void merge_warps(TopList<K>& list, Key* memory) {
  const int warp = int(threadIdx.x / 32);
#pragma unroll
  for (int half = WARPS / 2; half > 0; half /= 2) {
    if (warp >= half && warp < 2 * half) list.store(memory + (warp - half) * TopList<K>::SIZE);
    __syncthreads();
    if (warp < half) list.merge(memory + warp * TopList<K>::SIZE);
    if (half > 1) __syncthreads();
  }
}

// x (rows, N) with row stride LDX → values (rows, K), index (rows, K). WARPS warps per row: a block per row, or, for one, a
// row per warp.
template <int N, int K, int LDX, int WARPS, int ROWS, class X, class V>
__device__ inline void topk(int rows, const X* x, V* values, int* index) {
  static_assert(K <= N && (WARPS == 1 || ROWS == 1));
  constexpr int MERGED = WARPS > 1 ? WARPS / 2 * TopList<K>::SIZE : 1;
  __shared__ Key memory[MERGED];
  const int lane = int(threadIdx.x & 31), warp = int(threadIdx.x / 32);
  const long long row = WARPS > 1 ? (long long)(blockIdx.x) : (long long)(blockIdx.x) * ROWS + warp;
  if (row >= rows) return;
  const X* from = x + row * LDX;
  TopList<K> list;
  list.clear();
  for (int first = WARPS > 1 ? warp * 32 : 0; first < N; first += WARPS * 32) {
    const int i = first + lane;
    list.offer(i < N ? make_key(load_float(from + i), i) : 0);
  }
  if constexpr (WARPS > 1) merge_warps<WARPS>(list, memory);
  if (WARPS > 1 && warp > 0) return;
  list.each([&](int rank, Key key) {
    const int i = key_index(key);
    store_float(values + row * K + rank, load_float(from + i));
    index[row * K + rank] = i;
  });
}

}  // namespace ultramem::cuda
