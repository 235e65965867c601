// Products of bf16 tiles by a whole warp: under a short name, for code that has the instruction itself on the device.
#pragma once

// What a lane brings and gets, as mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 lays it out.
struct SimtFragments {
  float sum[4];
  unsigned a[4], b[2];
};
extern "C" void simt_mma(SimtFragments* lane);

// sum (16,8) += a (16,16) · b (16,8).
SIMT_INLINE void mma_bf16(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  SimtFragments lane = {{sum[0], sum[1], sum[2], sum[3]}, {a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  simt_mma(&lane);
  for (int i = 0; i < 4; i++) sum[i] = lane.sum[i];
}
