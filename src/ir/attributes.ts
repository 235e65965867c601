// Checks of attribute values, in the words of op definitions.

import type { Dim } from './graph.ts';
import type { AttrCheck } from './op.ts';

const isInt = (v: unknown): v is number => Number.isSafeInteger(v);
const check = <T>(wanted: string, accepts: (v: unknown) => boolean): AttrCheck<T> => ({
  wanted,
  accepts: accepts as (v: unknown) => v is T,
});

export const int = (least = 0): AttrCheck<number> =>
  check(`an integer of at least ${least}`, (v) => isInt(v) && v >= least);
export const finite: AttrCheck<number> = check('a finite number', (v) => Number.isFinite(v));
export const positive: AttrCheck<number> = check('a positive number', (v) => Number.isFinite(v) && (v as number) > 0);
export const anyNumber: AttrCheck<number> = check('a number', (v) => typeof v === 'number');
export const bool: AttrCheck<boolean> = check('true or false', (v) => typeof v === 'boolean');
export const text: AttrCheck<string> = check('a text', (v) => typeof v === 'string');
export const ints: AttrCheck<readonly number[]> = check(
  'a list of integers of at least 0',
  (v) => Array.isArray(v) && v.every((d) => isInt(d) && d >= 0),
);
/** A shape: sizes and names of symbols. */
export const dims: AttrCheck<readonly Dim[]> = check(
  'a list of sizes (integers of at least 0) and symbols',
  (v) => Array.isArray(v) && v.every((d) => (isInt(d) && d >= 0) || typeof d === 'string'),
);
export const oneOf = <const T extends string>(...names: readonly T[]): AttrCheck<T> =>
  check(names.length > 1 ? `one of ${names.join(', ')}` : `${names[0]}`, (v) => names.includes(v as T));
