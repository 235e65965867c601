// The next token from a row of logits: a block finds, without sorting, the first token in descending order at which counts or
// weights of all so far reach a target; top-k, top-p and the draw are such searches. Weights are integers, computed operation
// by operation as src/runtime/token-weights.ts does: their sums are exact, so tokens do not depend on who adds what when.
#pragma once
#include "device.cuh"
#include "topk.cuh"

namespace ultramem::cuda {

using Weight = unsigned long long;

constexpr int SAMPLE_THREADS = 256;
constexpr int SAMPLE_WARPS = SAMPLE_THREADS / 32;
constexpr int DIGIT_BITS = 4;
constexpr int BINS = 1 << DIGIT_BITS;

// Shared memory of one row. Each thread has bins of its own, so that no two write one place.
struct SampleMemory {
  Weight bins[BINS][SAMPLE_THREADS];
  Weight sums[BINS];
};

// Philox4x32-10 (Salmon et al. 2011), as in src/runtime/philox.ts: the uniform number `index` of `seed`, times 2^53.
__device__ inline unsigned long long philox_bits(unsigned long long seed, unsigned long long index) {
  unsigned c0 = unsigned(index), c1 = unsigned(index >> 32), c2 = 0, c3 = 0;
  unsigned k0 = unsigned(seed), k1 = unsigned(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xd2511f53u, c0), low0 = 0xd2511f53u * c0;
    const unsigned high1 = __umulhi(0xcd9e8d57u, c2), low1 = 0xcd9e8d57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return (unsigned long long)(c0 >> 5) << 26 | c1 >> 6;
}

// exp((logit − largest) / temperature) in units of 2^−UNIT, for rows of N; of infinite logits all the same, of NaN none.
template <int N>
struct Weigh {
  // The weight of the largest logit is 2^UNIT: N of them are at most 2^53, which doubles hold exactly.
  static constexpr int unit() {
    int bits = 53;
    while (1ull << (53 - bits) < (unsigned long long)(N)) bits--;
    return bits;
  }
  static constexpr int UNIT = unit();

  float largest;
  float steepness;  // halvings per unit of logit

  __device__ Weight operator()(float logit) const {
    if (logit == largest) return Weight(1) << UNIT;
    if (!(logit < largest)) return 0;
    const float x = __fmul_rn(__fsub_rn(logit, largest), steepness);
    if (!(x > float(-1 - UNIT))) return 0;
    const int whole = int(x);
    const float part = __fsub_rn(x, float(whole));
    constexpr float POWERS[] = {0.0001090232f, 0.0012747482f, 0.00957918f, 0.05549076f, 0.24022436f, 0.69314706f, 1.0f};
    float value = 0;
#pragma unroll
    for (int i = 0; i < 7; i++) value = __fadd_rn(__fmul_rn(value, part), POWERS[i]);
    // value lies in [0.5, 1] and has 24 bits behind the point.
    const Weight bits = Weight(value * 16777216.0f);
    const int shift = UNIT + whole - 24;
    return shift >= 0 ? bits << shift : shift > -32 ? bits >> -shift : 0;
  }
};

// The sum over the block, in every thread.
__device__ inline Weight block_total(Weight value, SampleMemory& memory) {
  value = warp_sum(value);
  __syncthreads();  // the last sums may still be read
  if (threadIdx.x % 32 == 0) memory.sums[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int warp = 0; warp < SAMPLE_WARPS; warp++) value += memory.sums[warp];
  return value;
}

// The best key of a row: the largest value, of equal ones the first; of NaN alone the first.
template <int N>
__device__ inline Key largest_of(const float* row, SampleMemory& memory) {
  Key best = 0;
  for (int i = int(threadIdx.x); i < N; i += SAMPLE_THREADS) {
    const Key key = make_key(row[i], i);
    best = key > best ? key : best;
  }
#pragma unroll
  for (int stride = 16; stride > 0; stride /= 2) {
    const Key other = __shfl_xor_sync(ALL_LANES, best, stride);
    best = other > best ? other : best;
  }
  if (threadIdx.x % 32 == 0) memory.sums[threadIdx.x / 32] = best;
  __syncthreads();
  for (int warp = 0; warp < SAMPLE_WARPS; warp++) best = memory.sums[warp] > best ? memory.sums[warp] : best;
  return best;
}

// Where a search ends: the place-th of the tokens whose value has these order_bits, ids ascending.
struct Reached {
  unsigned bits;
  Weight place;   // from 1
  Weight before;  // measures of all greater values
  Weight each;    // measure of one of this value
  __device__ Weight sum() const { return before + place * each; }
};

// The first token, from the top, at which the measures of all tokens so far reach `target`, which their total does. A pass
// over the row for each digit of the value.
template <int N, class Measure>
__device__ inline Reached reach(const float* row, Weight target, const Measure& measure, SampleMemory& memory) {
  const int thread = int(threadIdx.x), lane = thread & 31, warp = thread / 32;
  unsigned known = 0;
  Weight before = 0;
  for (int shift = 32 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
#pragma unroll
    for (int bin = 0; bin < BINS; bin++) memory.bins[bin][thread] = 0;
    for (int i = thread; i < N; i += SAMPLE_THREADS) {
      const float value = row[i];
      const unsigned bits = order_bits(value);
      if ((bits ^ known) >> shift < BINS) memory.bins[bits >> shift & (BINS - 1)][thread] += measure(value);
    }
    __syncthreads();
    for (int bin = warp; bin < BINS; bin += SAMPLE_WARPS) {
      Weight sum = 0;
#pragma unroll
      for (int i = 0; i < SAMPLE_WARPS; i++) sum += memory.bins[bin][i * 32 + lane];
      sum = warp_sum(sum);
      if (lane == 0) memory.sums[bin] = sum;
    }
    __syncthreads();
    int digit = BINS - 1;
    for (; digit > 0 && before + memory.sums[digit] < target; digit--) before += memory.sums[digit];
    known |= unsigned(digit) << shift;
  }
  const Weight each = measure(key_value(Key(known) << 32));
  return {known, (target - before + each - 1) / each, before, each};
}

// The id of the place-th token of these order_bits, from 1; written by the lane that finds it. Each warp has a stretch of ids.
template <int N>
__device__ inline void write_id(const float* row, unsigned bits, Weight place, int* id, SampleMemory& memory) {
  constexpr int STRETCH = ceil_div(N, SAMPLE_THREADS) * 32;
  const int lane = int(threadIdx.x & 31), warp = int(threadIdx.x / 32);
  const auto is_one = [&](int i) { return i < N && order_bits(row[i]) == bits; };
  int count = 0;  // of this lane
  for (int i = lane; i < STRETCH; i += 32) count += is_one(warp * STRETCH + i);
  count = warp_sum(count);
  __syncthreads();  // the last sums may still be read
  if (lane == 0) memory.sums[warp] = Weight(count);
  __syncthreads();
  for (int earlier = 0; earlier < warp; earlier++) {
    if (place <= memory.sums[earlier]) return;
    place -= memory.sums[earlier];
  }
  if (place > Weight(count)) return;
  for (int i = lane; i < STRETCH; i += 32) {
    const bool is = is_one(warp * STRETCH + i);
    const unsigned all = __ballot_sync(ALL_LANES, is);
    if (is && Weight(__popc(all & ((1u << lane) - 1)) + 1) == place) *id = warp * STRETCH + i;
    const Weight found = Weight(__popc(all));
    if (place <= found) return;
    place -= found;
  }
}

struct One {
  __device__ Weight operator()(float) const { return 1; }
};

// What the first tokens as far as `last` weigh together; all of them where it is none.
template <int N>
__device__ inline Weight weight_until(const float* row, const Reached& last, const Weigh<N>& weigh, SampleMemory& memory) {
  Weight sum = 0;
  for (int i = int(threadIdx.x); i < N; i += SAMPLE_THREADS) {
    if (order_bits(row[i]) > last.bits) sum += weigh(row[i]);
  }
  return block_total(sum, memory) + last.place * weigh(key_value(Key(last.bits) << 32));
}

// share · total, rounded up.
__device__ inline Weight part_of(Weight total, double share) {
  const double product = share * double(total);
  const Weight whole = Weight(product);
  return whole + (double(whole) < product);
}

// logits (T, N) with row stride LDX, choices (rows, 6) → chosen (rows). A choice is the words row, steepness (a double), k,
// p (a double), seed, index: see Sampling in src/runtime/sampling.ts. A block per choice.
template <int N, int LDX>
__device__ inline void sample(int rows, const float* logits, const long long* choices, int* chosen) {
  __shared__ SampleMemory memory;
  if (int(blockIdx.x) >= rows) return;
  const long long* words = choices + (long long)(blockIdx.x) * 6;
  const float* row = logits + words[0] * LDX;
  const long long k = words[2];
  const double p = __longlong_as_double(words[3]);
  int* id = chosen + blockIdx.x;

  const Key best = largest_of<N>(row, memory);
  if (k == 1 || best >> 32 == 0) {  // greedy, or NaN alone
    if (threadIdx.x == 0) *id = key_index(best);
    return;
  }
  const Weigh<N> weigh = {key_value(best), float(__longlong_as_double(words[1]))};
  Reached last = {};
  if (k < N) last = reach<N>(row, Weight(k), One{}, memory);
  Weight total = weight_until(row, last, weigh, memory);
  if (p < 1) total = reach<N>(row, part_of(total, p), weigh, memory).sum();
  const double u = double(philox_bits((unsigned long long)(words[4]), (unsigned long long)(words[5]))) * 0x1p-53;
  const Reached drawn = reach<N>(row, Weight(u * double(total)) + 1, weigh, memory);
  write_id<N>(row, drawn.bits, drawn.place, id, memory);
}

}  // namespace ultramem::cuda
