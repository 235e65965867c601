// Kernels as a binary carries them: fatbins that nvcc made, put into its read-only data by the assembler.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ultramem::addon {

struct CudaImage {
  const void* data;
  size_t bytes;
};

struct CudaOptions {
  std::vector<CudaImage> images;  // kernels are looked up in each, in this order
  std::string architectures;      // that the images hold, for messages: `sm_80, sm_90, compute_90`
  int toolkit = 0;                // that made them: 13000 for CUDA 13.0
  int ordinal = 0;                // which of the machine's devices
  bool eager = false;             // no graph; waits for each launch, so that a fault names its kernel
  size_t staging = size_t{4} << 20;
};

// A fatbin begins with a mark, 2 + 2 bytes of version and header size, and 8 bytes with the size of what follows the header.
inline bool whole(const CudaImage& image) {
  if (image.bytes < 16) return false;
  uint32_t mark;
  uint16_t header;
  uint64_t body;
  const char* at = static_cast<const char*>(image.data);
  std::memcpy(&mark, at, 4);
  std::memcpy(&header, at + 6, 2);
  std::memcpy(&body, at + 8, 8);
  return mark == 0xba55ed50u && header <= image.bytes && body <= image.bytes - header;
}

}  // namespace ultramem::addon

// At namespace scope: defines symbol() as the CudaImage with the content of `file`, a string literal of an absolute path.
#define ULTRAMEM_EMBED(symbol, file)                                                               \
  __asm__(".pushsection .rodata,\"a\"\n.balign 64\n.local " #symbol "_begin\n" #symbol "_begin:\n" \
          ".incbin \"" file "\"\n.local " #symbol "_end\n" #symbol "_end:\n.byte 0\n.popsection\n"); \
  extern "C" __attribute__((visibility("hidden"))) const char symbol##_begin[], symbol##_end[];    \
  static ::ultramem::addon::CudaImage symbol() { return {symbol##_begin, size_t(symbol##_end - symbol##_begin)}; }
