// How the host's compiler compiles what runs thread by thread: the same for an addon and for a trace that is run again, or
// their numbers would differ in the last bits.

/** For all sources: which instructions, and how products and sums are joined. */
export const numericFlags = (march: string): readonly string[] => [
  `-march=${march}`,
  '-ffp-contract=fast',
  '-fno-math-errno',
];

/** For the kernels: a call at every access to memory, and CUDA's words ahead of them. */
export const instrumentedFlags: readonly string[] = [
  ...['-O1', '-g1', '-fsanitize=thread', '-fno-extern-tls-init', '-Wno-unused-but-set-variable'],
  ...['-include', 'simt/cuda.h'],
];
