// Writes a checkpoint of random weights for a model of any size, piece by piece, with little memory:
//
//   npx tsx examples/twenty-million/write-checkpoint.ts <model.ts> <out.safetensors> [seed]
//
// Floats are bf16: those of one axis (norms) 1, others uniform, such that products keep the size of what they multiply. They are a
// run of a million random numbers repeated; its length is a prime, so that no two of a million rows hold the same numbers in the
// same places, and every second run has its signs turned. Index tables are permutations, by steps of a prime.

import { open, rm } from 'node:fs/promises';
import { loadModel, trace } from 'ultramem/compile';

const RUN = 1_000_003;
const PIECE = 1 << 22; // elements written at once

const [modelFile, path, seed = '1'] = process.argv.slice(2);
if (modelFile === undefined || path === undefined) {
  console.error('usage: write-checkpoint.ts <model.ts> <out.safetensors> [seed]');
  process.exit(2);
}

const weights = trace(await loadModel(modelFile)).weights.map(({ name, type }) => {
  const shape = type.shape.map(Number);
  const floats = type.dtype === 'f32' || type.dtype === 'bf16';
  const count = shape.reduce((n, dim) => n * dim, 1);
  return { name, shape, count, floats, bytes: count * (floats ? 2 : 4) };
});

const header: Record<string, unknown> = {};
let total = 0;
for (const { name, shape, floats, bytes } of weights) {
  header[name] = { dtype: floats ? 'BF16' : 'I32', shape, data_offsets: [total, (total += bytes)] };
}
const text = JSON.stringify(header);
const padded = text.padEnd(Math.ceil((8 + text.length) / 64) * 64 - 8);
const head = Buffer.alloc(8 + padded.length);
head.writeBigUInt64LE(BigInt(padded.length));
head.write(padded, 8);

const file = await open(path, 'wx');
try {
  await file.appendFile(head);
  const run = randomRun(Number(seed));
  let [done, shown] = [0, performance.now()];
  for (const { name, shape, count, floats } of weights) {
    const fill = floats ? floatsOf(run, shape) : permutationOf(count);
    for (let from = 0; from < count; from += PIECE) {
      const piece = fill(from, Math.min(PIECE, count - from));
      await file.appendFile(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
      done += piece.byteLength;
      if (performance.now() - shown < 2000) continue;
      shown = performance.now();
      console.error(`${name}: ${(done / 1e9).toFixed(2)} of ${(total / 1e9).toFixed(2)} GB`);
    }
  }
  console.error(`${path}: ${weights.length} tensors, ${(total / 1e9).toFixed(2)} GB`);
} catch (error) {
  await rm(path, { force: true });
  throw error;
} finally {
  await file.close();
}

/** Uniform in [-1, 1). */
function randomRun(start: number): Float32Array {
  let state = start >>> 0;
  return Float32Array.from({ length: RUN }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Elements from one on, as many as asked for. */
type Fill = (from: number, count: number) => Uint16Array | Int32Array;

function floatsOf(run: Float32Array, shape: readonly number[]): Fill {
  const scale = Math.sqrt(3 / shape.at(-1)!);
  const words = new Uint32Array(Float32Array.from(run, (value) => (shape.length < 2 ? 1 : scale * value)).buffer);
  // Rounded by cutting: random numbers need no better.
  const narrow = Uint16Array.from(words, (word) => word >>> 16);
  const runs = [narrow, shape.length < 2 ? narrow : narrow.map((word) => word ^ 0x8000)] as const;
  return (from, count) => {
    const piece = new Uint16Array(count);
    for (let at = 0; at < count; ) {
      const place = from + at;
      const part = runs[Math.floor(place / RUN) % 2]!.subarray(place % RUN, (place % RUN) + count - at);
      piece.set(part, at);
      at += part.length;
    }
    return piece;
  };
}

/** Of [0, n): element i is i·RUN mod n, or i where that is no permutation. */
function permutationOf(n: number): Fill {
  const step = n % RUN === 0 ? 1 : RUN % n;
  return (from, count) => {
    const piece = new Int32Array(count);
    for (let i = 0; i < count; i++) piece[i] = ((from + i) * step) % n; // below 2^53, so exact
    return piece;
  };
}
