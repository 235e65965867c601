// Samples rows with the kernels of sample.cu, all checks on. Prints findings and fails where there are any.
//
//   sample-program <data> <chosen>
//   data: per batch int64 length of a row, stride, rows, choices; rows × stride f32; choices × 6 words; ends with a length of 0
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "simt/simt.h"

namespace simt = ultramem::simt;

#define SAMPLE(N) extern "C" void sample_##N(const float*, const long long*, int*, const int*);
SAMPLE(1)
SAMPLE(5)
SAMPLE(257)
SAMPLE(1000)
SAMPLE(50257)

namespace {

simt::Kernel kernel_of(int64_t length) {
  switch (length) {
    case 1: return simt::kernel<sample_1>("sample_1", "");
    case 5: return simt::kernel<sample_5>("sample_5", "");
    case 257: return simt::kernel<sample_257>("sample_257", "");
    case 1000: return simt::kernel<sample_1000>("sample_1000", "");
    case 50257: return simt::kernel<sample_50257>("sample_50257", "");
    default: std::exit(2);
  }
}

void read(std::FILE* file, void* to, size_t bytes) {
  if (std::fread(to, 1, bytes, file) != bytes) std::exit(2);
}

// Memory that the kernels may touch, from the file or with nothing written yet.
void* from_file(std::FILE* file, size_t bytes, const char* what) {
  void* at = simt::allocate(bytes, what);
  read(file, at, bytes);
  simt::written(at, bytes);
  return at;
}

}  // namespace

int main(int, char** argv) {
  std::FILE* data = std::fopen(argv[1], "rb");
  std::FILE* out = std::fopen(argv[2], "wb");
  int64_t head[4];
  size_t found = 0;
  for (read(data, head, 8); head[0] != 0; read(data, head, 8)) {
    read(data, head + 1, 24);
    const int32_t count = int32_t(head[3]);
    // The last row ends with its last logit.
    const size_t floats = size_t(head[1]) * size_t(head[2] - 1) + size_t(head[0]);
    void* logits = from_file(data, floats * 4, "logits");
    void* choices = from_file(data, size_t(count) * 48, "choices");
    void* chosen = simt::allocate(size_t(count) * 4, "chosen");
    void* rows = simt::allocate(4, "rows");
    std::memcpy(rows, &count, 4);
    simt::written(rows, 4);
    void* args[] = {logits, choices, chosen, rows};
    simt::Options options;
    options.workers = 2;
    simt::Counters counters;
    std::vector<simt::Finding> findings;
    // More blocks than choices, as a step has that is asked for few tokens.
    simt::launch(kernel_of(head[0]), {{unsigned(count) + 1, 1, 1}, {256, 1, 1}, 0}, args, options, counters, findings);
    for (const simt::Finding& f : findings) std::fprintf(stderr, "%s: %s\n", f.kind.c_str(), f.message.c_str());
    found += findings.size();
    std::fwrite(chosen, 4, size_t(count), out);
    for (void* at : args) simt::release(at);
  }
  std::fclose(out);
  return found != 0;
}
