// Where memories read and where their outputs are added: `1:2/3:5`, `full`, `no_mem`.

import { badConfig } from '../dsl/index.ts';

/** Memory n reads the normed feed-forward input of block `read`; its output is added after block `add`. 0-based, read ≤ add. */
export interface Placement {
  readonly read: number;
  readonly add: number;
}

/**
 * Reads `i:j/i:j/…` (UltraMem §1, placement), `full` (every block reads and adds) or `no_mem`, for a model of `layers` blocks.
 * Throws `bad-config` for other text, blocks that do not exist, j < i, and reads that are not in ascending order.
 */
export function parsePlacement(text: string, layers: number): readonly Placement[] {
  if (text === 'no_mem') return [];
  if (text === 'full') return Array.from({ length: layers }, (_, block) => ({ read: block, add: block }));
  const placements = text.split('/').map((unit) => {
    const [, read, add] = /^(\d+):(\d+)$/.exec(unit) ?? [];
    if (read === undefined || add === undefined) {
      throw badPlacement(
        text,
        `"${unit}" is no pair of blocks`,
        'write i:j pairs with / between, as in 1:2/3:5, or full, or no_mem',
      );
    }
    return { read: Number(read), add: Number(add) };
  });
  for (const [n, { read, add }] of placements.entries()) {
    const before = placements[n - 1];
    if (add < read)
      throw badPlacement(text, `memory ${n} is added after block ${add} but reads at block ${read}`, 'j is at least i');
    if (add >= layers) throw badPlacement(text, `there is no block ${add}`, `blocks are numbered 0..${layers - 1}`);
    if (before !== undefined && read <= before.read) {
      throw badPlacement(
        text,
        `memory ${n} reads at block ${read}, not after memory ${n - 1}`,
        'list memories in the order they read',
      );
    }
  }
  return placements;
}

const badPlacement = (text: string, message: string, hint: string) =>
  badConfig('mem_insert_way', `"${text}": ${message}`, hint);
