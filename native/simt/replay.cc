// Runs the launches of a trace again with all checks on, each from the memory that it found, and compares what it leaves with
// what it left then. `program <job> <workers>` in the folder of the trace; src/replay.ts writes the job, which it has checked,
// and reads what is printed here.
//
//   job:    <launches> then for each
//           <kernel> <grid 3> <block 3> <shared> <pieces of memory> <arguments>
//           a piece: <bytes> <file before> <file after, or - where nothing is to differ, or ? where that is not known>
//                    <ranges nobody wrote> <begin end> …
//           an argument: <piece> <offset>
//   prints: launch, finding <text>, differs <piece> <bytes that differ> <the first>, done; fault <text> ends it
#include "replay.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <new>
#include <stdexcept>

namespace ultramem::simt {
namespace {

struct Piece {
  size_t bytes = 0;
  std::string before, after;
  std::vector<std::pair<size_t, size_t>> unwritten;
  char* at = nullptr;
};

struct Argument {
  size_t piece = 0, offset = 0;
};

template <class T>
T next(std::istream& job) {
  T value{};
  if (!(job >> value)) throw std::runtime_error("the job ends early");
  return value;
}

// Calls `use` with the file's bytes and where they belong, piece by piece.
template <class Use>
void read(const std::string& path, size_t bytes, Use use) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> part(std::min<size_t>(bytes, 1 << 20));
  for (size_t at = 0; at < bytes; at += part.size()) {
    const size_t count = std::min(part.size(), bytes - at);
    if (!file.read(part.data(), std::streamsize(count))) throw std::runtime_error("cannot read " + path);
    use(at, part.data(), count);
  }
}

void fill(Piece& piece) {
  piece.at = static_cast<char*>(allocate(piece.bytes, piece.before.c_str()));
  read(piece.before, piece.bytes, [&](size_t at, const char* from, size_t count) { std::memcpy(piece.at + at, from, count); });
  size_t begin = 0;
  for (const auto& [first, end] : piece.unwritten) {
    written(piece.at + begin, first - begin);
    begin = end;
  }
  written(piece.at + begin, piece.bytes - begin);
}

void compare(const Piece& piece, size_t number) {
  if (piece.after == "?") return;
  size_t differ = 0, first = 0;
  read(piece.after == "-" ? piece.before : piece.after, piece.bytes, [&](size_t at, const char* wanted, size_t count) {
    if (std::memcmp(piece.at + at, wanted, count) == 0) return;
    for (size_t i = 0; i < count; i++) {
      if (piece.at[at + i] == wanted[i]) continue;
      if (differ++ == 0) first = at + i;
    }
  });
  if (differ > 0) std::cout << "differs " << number << " " << differ << " " << first << "\n";
}

void replay(std::istream& job, int workers) {
  const auto& kernel = replay_kernels[size_t(next<int>(job))];
  Shape shape{};
  for (unsigned& extent : shape.grid) extent = next<unsigned>(job);
  for (unsigned& extent : shape.block) extent = next<unsigned>(job);
  shape.shared = next<unsigned>(job);
  std::vector<Piece> pieces(next<size_t>(job));
  std::vector<Argument> arguments(next<size_t>(job));
  for (Piece& piece : pieces) {
    job >> piece.bytes >> piece.before >> piece.after;
    piece.unwritten.resize(next<size_t>(job));
    for (auto& [begin, end] : piece.unwritten) job >> begin >> end;
  }
  for (Argument& argument : arguments) job >> argument.piece >> argument.offset;
  std::cout << "launch\n";
  if (arguments.size() != kernel.parameters) {
    throw std::runtime_error(std::string(kernel.kernel.name) + " takes " + std::to_string(kernel.parameters) +
                             " pointers, not " + std::to_string(arguments.size()));
  }
  for (Piece& piece : pieces) fill(piece);
  std::vector<void*> pointers;
  for (const Argument& argument : arguments) pointers.push_back(pieces[argument.piece].at + argument.offset);
  Options options;
  options.workers = workers;
  Counters counters;
  std::vector<Finding> findings;
  launch(kernel.kernel, shape, pointers.data(), options, counters, findings);
  for (Finding& finding : findings) {
    std::replace(finding.message.begin(), finding.message.end(), '\n', ' ');
    std::cout << "finding " << finding.kind << " in " << finding.message << "\n";
  }
  for (size_t i = 0; i < pieces.size(); i++) {
    compare(pieces[i], i);
    release(pieces[i].at);
  }
  std::cout << "done" << std::endl;
}

}  // namespace
}  // namespace ultramem::simt

int main(int, char** argv) {
  try {
    std::ifstream job(argv[1]);
    const int launches = ultramem::simt::next<int>(job);
    for (int i = 0; i < launches; i++) ultramem::simt::replay(job, std::atoi(argv[2]));
    return 0;
  } catch (const std::bad_alloc&) {
    std::cout << "fault no memory for the buffers of a launch" << std::endl;
  } catch (const std::exception& error) {
    std::cout << "fault " << error.what() << std::endl;
  }
  return 1;
}
