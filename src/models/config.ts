// Reading a configuration: every key is known, and its value is one that the preset builds.

import { badConfig, unknownConfig } from '../dsl/index.ts';

/** What a preset makes of a configuration's keys. */
export interface ConfigRules {
  /** Keys that the preset reads. */
  readonly read: readonly string[];
  /** Keys without influence on inference: dropout, initialisation, precision of training. */
  readonly ignored: readonly string[];
  /** Keys that must have one of these values where they stand. */
  readonly fixed: Readonly<Record<string, readonly unknown[]>>;
}

/** A checked configuration. Readers throw `bad-config` naming the key. */
export interface Config {
  /** An integer of at least 1; `fallback` where the key is missing or null. */
  count(key: string, fallback?: number): number;
  /** An integer of at least 0. */
  size(key: string, fallback: number): number;
  /** A positive number. */
  number(key: string, fallback: number): number;
  flag(key: string, fallback: boolean): boolean;
  oneOf<const T extends string>(key: string, values: readonly T[], fallback?: T): T;
  text(key: string, fallback: string): string;
  has(key: string): boolean;
}

/** Checks an untyped configuration. Throws `unknown-config` for keys no rule names, with the nearest, and `bad-config` for values. */
export function readConfig(given: unknown, { read, ignored, fixed }: ConfigRules): Config {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw badConfig(
      '',
      `a configuration is an object, got ${given === null ? 'null' : Array.isArray(given) ? 'an array' : typeof given}`,
    );
  }
  const values = given as Readonly<Record<string, unknown>>;
  const known = [...read, ...ignored, ...Object.keys(fixed)];
  for (const [key, value] of Object.entries(values)) {
    if (!known.includes(key)) throw unknownConfig(key, known);
    const allowed = fixed[key];
    if (allowed === undefined || allowed.includes(value)) continue;
    const wanted = allowed.map((one) => JSON.stringify(one)).join(' or ');
    throw badConfig(
      key,
      `${JSON.stringify(value)} is not supported`,
      `The preset builds ${wanted}; write other models with the words of the DSL.`,
    );
  }
  const checked = <T>(key: string, fallback: T | undefined, wanted: string, fits: (value: unknown) => boolean): T => {
    const value = values[key] ?? fallback;
    if (value === undefined) throw badConfig(key, 'is missing', `Wanted: ${wanted}.`);
    if (!fits(value)) throw badConfig(key, `${JSON.stringify(value)} does not fit`, `Wanted: ${wanted}.`);
    return value as T;
  };
  return {
    count: (key, fallback) =>
      checked(key, fallback, 'an integer of at least 1', (v) => Number.isSafeInteger(v) && (v as number) > 0),
    size: (key, fallback) =>
      checked(key, fallback, 'an integer of at least 0', (v) => Number.isSafeInteger(v) && (v as number) >= 0),
    number: (key, fallback) =>
      checked(key, fallback, 'a positive number', (v) => Number.isFinite(v) && (v as number) > 0),
    flag: (key, fallback) => checked(key, fallback, 'true or false', (v) => typeof v === 'boolean'),
    oneOf: <const T extends string>(key: string, names: readonly T[], fallback?: T): T =>
      checked<T>(key, fallback, `one of ${names.join(', ')}`, (v) => names.includes(v as T)),
    text: (key, fallback) => checked(key, fallback, 'a text', (v) => typeof v === 'string'),
    has: (key) => values[key] !== undefined && values[key] !== null,
  };
}
