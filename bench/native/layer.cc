// Times the stages of one UltraMem V1 layer, each alone and all in order, with weights of f32 and of bf16, in turn with the limits of
// the machine, and prints one line of JSON: times in microseconds, work and limits in flops, bytes and seconds.
// Build: g++ -std=c++20 -O3 -ffp-contract=fast -march=native -pthread -I native/cpu bench/native/layer.cc native/cpu/pool.cc -o /tmp/layer
// Run: layer THREADS TOKENS ROUNDS SECONDS, as `layer 1,2 1,16,64 5 0.02`: seconds of calls per stage and round
#include <string>

#include "stages.h"

using namespace ultramem;

static std::vector<int> numbers_of(const char* list) {
  std::vector<int> numbers;
  for (const char* at = list; *at;) {
    char* end;
    numbers.push_back(int(std::strtol(at, &end, 10)));
    at = *end == ',' ? end + 1 : end;
    if (end == at && *at) std::fprintf(stderr, "not a list of numbers: %s\n", list), std::exit(2);
  }
  return numbers;
}

static bool first_result = true;

static void print(const char* precision, int threads, int64_t T, const Stage& stage) {
  const auto& [name, work, contender] = stage;
  std::printf("%s{\"precision\":\"%s\",\"threads\":%d,\"T\":%lld,\"stage\":\"%s\"", first_result ? "" : ",", precision, threads, (long long)T, name);
  std::printf(",\"min\":%.2f,\"median\":%.2f,\"spread\":%.2f,\"calls\":%lld", contender.least, contender.median(), contender.spread(), (long long)contender.calls);
  std::printf(",\"f32Flops\":%.0f,\"bf16Flops\":%.0f,\"byteOps\":%.0f,\"streamed\":%.0f,\"gathered\":%.0f,\"keyRows\":%.0f}", work.f32_flops, work.bf16_flops, work.byte_ops,
              work.streamed, work.gathered, work.key_rows);
  first_result = false;
}

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "layer THREADS TOKENS ROUNDS SECONDS\n"), 2;
  const std::vector<int> thread_counts = numbers_of(argv[1]), tokens = numbers_of(argv[2]);
  const int rounds = std::atoi(argv[3]);
  const double seconds = std::atof(argv[4]);
  for (int T : tokens)
    if (T < 1 || T > TOKENS) return std::fprintf(stderr, "tokens of a step: 1 to %d\n", int(TOKENS)), 2;

  static Layer<float> wide;
  static Layer<BF16> narrow;
  Pool all(*std::max_element(thread_counts.begin(), thread_counts.end()), 0);
  const LargeArray array(all, size_t(1) << 30);
  std::vector<Limits> limits;
  std::printf("{\"lanes\":%d,\"multipliesPairs\":%s,\"stages\":[", LANES, kMultipliesPairs ? "true" : "false");
  for (int threads : thread_counts) {
    Pool pool(threads, std::max(Layer<float>::scratch(), Layer<BF16>::scratch()));
    for (int T : tokens) {
      std::fprintf(stderr, "stages: T = %d, threads %d\n", T, threads);
      Limits& limit = limits.emplace_back(threads, T, Table{ROWS, DV}, Table{2 * H * KEYS, RANK * DK});
      std::vector<Stage> f32 = wide.stages(pool, T), bf16 = narrow.stages(pool, T);
      for (int round = 0; round < rounds; round++) {
        for (size_t s = 0; s < f32.size(); s++) f32[s].contender.run(seconds), bf16[s].contender.run(seconds);
        limit.measure(pool, array, unsigned(round + 1));
      }
      for (const Stage& stage : f32) print("f32", threads, T, stage);
      for (const Stage& stage : bf16) print("bf16", threads, T, stage);
    }
  }
  std::printf("],\"limits\":[");
  for (size_t i = 0; i < limits.size(); i++) std::printf("%s", i ? "," : ""), limits[i].print();
  std::printf("]}\n");
}
