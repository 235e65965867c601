// A program: loads damaged copies of a weight file into a compiled layer, runs a step on those that load, and prints how often
// each code came. A crash ends this process, not the test that started it.
//
//   load-mutants.ts <weights> <folder of the emitted layer> <seed> <rounds>

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UltramemError } from '../../src/support/errors.ts';
import type { EmittedClass } from '../compiled-model.ts';
import { Random } from '../random.ts';

const [weights, emitted, seed, rounds] = process.argv.slice(2) as [string, string, string, string];
const { V1Small } = (await import(pathToFileURL(join(emitted, 'model.ts')).href)) as { V1Small: EmittedClass };
const original = readFileSync(weights);
const headerEnd = 8 + Number(original.readBigUInt64LE());
const random = new Random(Number(seed), 'mutants');
const { below } = { below: (n: number) => random.below(n) };
const x = new Random(1, 'x').f32([5, 64]);
const slots = 1024;

/** Every way gives other bytes; `b` is a copy. */
const ways: ((b: Buffer) => Buffer)[] = [
  (b) => flip(b, 0, headerEnd),
  (b) => flip(b, headerEnd, b.length),
  (b) => {
    for (let i = 1 + below(64); i > 0; i--) flip(b, headerEnd, b.length);
    return b;
  },
  (b) => b.subarray(0, below(b.length)),
  // A stretch of the data becomes NaN (all ones), zero, or noise.
  (b) => {
    const from = headerEnd + below(b.length - headerEnd);
    const to = Math.min(b.length, from + 1 + below(4096));
    const kind = below(3);
    for (let at = from; at < to; at++) b[at] = kind === 0 ? 0xff : kind === 1 ? 0 : below(256);
    return b;
  },
  // A number of a shape or an offset, or a dtype, becomes another; the length of the header follows.
  (b) =>
    withHeader(b, (text) => replaceOne(text, /\d+/g, (n) => String(n === '0' ? below(1e6) : below(2 * Number(n) + 2)))),
  (b) =>
    withHeader(b, (text) =>
      replaceOne(
        text,
        /(?<="dtype":")\w+/g,
        () => ['F32', 'F16', 'BF16', 'I64', 'I32', 'U8', 'F64', 'BOOL'][below(8)]!,
      ),
    ),
  // Two tensors exchange their places in the file: bytes of one are read as the other where sizes agree.
  (b) =>
    withHeader(b, (text) => {
      const places = text.match(/\[\d+,\d+\](?=\})/g)!;
      const [one, other] = [places[below(places.length)]!, places[below(places.length)]!];
      return text.replace(one, 'place').replace(other, one).replace('place', other);
    }),
];

function flip(b: Buffer, from: number, to: number): Buffer {
  const at = from + below(to - from);
  b[at] = b[at]! ^ (1 << below(8));
  return b;
}

function withHeader(b: Buffer, change: (text: string) => string): Buffer {
  const text = Buffer.from(change(b.subarray(8, headerEnd).toString()));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, b.subarray(headerEnd)]);
}

function replaceOne(text: string, pattern: RegExp, by: (found: string) => string): string {
  const found = [...text.matchAll(pattern)];
  const { index, 0: old } = found[below(found.length)]!;
  return text.slice(0, index) + by(old) + text.slice(index + old.length);
}

const seen: Record<string, number> = {};
const mutant = `${weights}.mutant`;
for (let round = 0; round < Number(rounds); round++) {
  writeFileSync(mutant, ways[round % ways.length]!(Buffer.from(original)));
  const code = await outcome().catch((error) => {
    throw new Error(`seed ${seed}, round ${round}`, { cause: error });
  });
  seen[code] = (seen[code] ?? 0) + 1;
}
console.log(JSON.stringify(seen));

async function outcome(): Promise<string> {
  try {
    using layer = await V1Small.load(mutant, { threads: 1, copy: below(2) === 0 });
    const outputs = await layer.forward({ x });
    for (const slot of outputs['mid.shuffled_index']!.data) {
      if (!(slot >= 0 && slot < slots)) throw new Error(`slot ${slot} is outside the tables`);
    }
    return 'ran';
  } catch (error) {
    if (error instanceof UltramemError) return error.code;
    throw error;
  }
}
