// The launches of a step, as emitted sources hand them to a device: data alone.
#pragma once
#include <cstdint>

namespace ultramem {

// What an argument of a kernel points into. `none`: the kernel gets a null pointer. `tokens`: two int32, T of the step and how
// many tokens are to be chosen from its logits. `choices`: how, kChoiceWords for each. `chosen`: those tokens, int32.
enum class Space : uint8_t { none, input, output, weight, state, prepared, arena, tokens, choices, chosen };

// int64: row, steepness (a double's bits), k, p (a double's bits), seed, index; see src/runtime/sampling.ts.
constexpr int kChoiceWords = 6;

struct ArgSpec {
  Space space;
  int32_t index;   // of Model::inputs, outputs, weights or states; 0 where a space is one piece
  int64_t offset;  // bytes
  // For who watches launches: the buffer that it points into begins so many bytes before, and is so long, times the value of a
  // symbol (an index of Model::symbols; -1: once). written: the kernel may write to it.
  int64_t begin = 0;
  int64_t bytes = 0;
  int32_t symbol = -1;
  bool written = false;
};

struct LaunchSpec {
  const char* kernel;  // name of an extern "C" __global__ function whose parameters are all pointers
  const char* place;   // line of the model file, for messages
  unsigned grid[3];
  unsigned block[3];
  unsigned shared;  // bytes of dynamic shared memory
  int first_arg;    // in LaunchList::args
  int arg_count;
  int stream;  // 0 or 1: launches of one are in order; 1 is joined where the step ends
  int after;   // launch of the other stream, earlier in the list, that must be done first; -1 for none
};

// The step of one variant, or what chooses tokens behind it. Running the launches one after another is right, whatever
// their streams.
struct LaunchList {
  const LaunchSpec* launches;
  int launch_count;
  const ArgSpec* args;  // of all launches, those of one side by side
};

}  // namespace ultramem
