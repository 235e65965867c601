// The retrieval kernels on f32 and bf16 in any mixture, on ragged shapes; what they must give is in retrieval_test.cc.
#include "cuda/gather_pool.cuh"
#include "cuda/grid_topk.cuh"
#include "cuda/rescore_topk.cuh"
#include "cuda/score_topk_mma.cuh"

using namespace ultramem::cuda;

#define MIXED(types, A, B)                                                                                                \
  extern "C" __global__ void one_##types(const A* q, const B* keys, float* values, int* index) {                          \
    score_topk_one<2, 77, 24, 5, false, 24, 1, 8>(3, q, keys, values, index, nullptr);                                    \
  }                                                                                                                       \
  extern "C" __global__ void tile_##types(const A* q, const B* keys, int* partial) {                                      \
    score_topk_tile<2, 200, 20, 40, true, 40, 2, 4, 16>(19, q, keys, nullptr, nullptr, partial);                          \
  }                                                                                                                       \
  extern "C" __global__ void dot_##types(const A* q, const B* keys, const int* index, A* y) {                             \
    gather_dot<2, 50, 3, 24, 7, 24, 48, 144, 14, 42, 8>(3, q, keys, index, y);                                            \
  }                                                                                                                       \
  extern "C" __global__ void grid_##types(const A* row, const B* col, const A* core, int* position, float* scores) {      \
    grid_topk<2, 7, 3, 2, 9, 42, 42, 18, 36>(3, row, col, core, position, scores);                                        \
  }                                                                                                                       \
  extern "C" __global__ void rescore_##types(const int* row_index, const int* col_index, const A* q_row, const B* q_col,  \
                                             const B* keys_row, const A* keys_col, const A* core, int* slot,              \
                                             float* scores) {                                                             \
    rescore_topk<2, 50, 3, 24, 7, 2, 9, 24, 48, 14, 14, 144, 144, 18, 36, 0, 8>(3, row_index, col_index, q_row, q_col,    \
                                                                                keys_row, keys_col, core, nullptr, slot,  \
                                                                                scores);                                  \
  }                                                                                                                       \
  extern "C" __global__ void pool_##types(const A* table, const int* slot, const float* scores, B* y) {                   \
    gather_pool<40, 48, 21, 2, 3, 21, 42, 144, 8, 8, 8>(3, table, slot, scores, y);                                       \
  }                                                                                                                       \
  extern "C" __global__ void pool_many_##types(const A* table, const int* slot, const float* scores, B* y) {              \
    gather_pool<40, 48, 21, 2, 3, 21, 42, 144, 16, 1, 4>(3, table, slot, scores, y);                                      \
  }

MIXED(ff, float, float)
MIXED(fb, float, BF16)
MIXED(bf, BF16, float)
MIXED(bb, BF16, BF16)

extern "C" __global__ void merge(const int* partial, float* values, int* index) {
  score_topk_merge<2, 40, 2, 4>(19, partial, values, index);
}
extern "C" __global__ void mma16(const BF16* q, const BF16* keys, float* values, int* index) {
  score_topk_mma<2, 200, 24, 40, true, 48, 1, 8, 16>(19, q, keys, values, index, nullptr);
}
extern "C" __global__ void mma32(const BF16* q, const BF16* keys, int* partial) {
  score_topk_mma<2, 200, 20, 40, true, 40, 2, 4, 32>(19, q, keys, nullptr, nullptr, partial);
}
extern "C" __global__ void mma64(const BF16* q, const BF16* keys, float* values, int* index) {
  score_topk_mma<1, 70, 199, 70, false, 199, 1, 1, 64>(67, q, keys, values, index, nullptr);
}
