// What the page shows at the moment, and the figures that follow from it.

import { byId } from './elements.js';

/** @import { KernelData, PageData, StepData, TokensData } from '../../src/page/data.ts' */

export const data = /** @type {PageData} */ (JSON.parse(byId('data').textContent ?? ''));

/**
 * @typedef {{ readonly bandwidth: number, readonly rates: Record<string, number> }} Rates
 * @typedef {{ readonly list: 'step' | 'prepare', readonly place: number }} Chosen
 */

export const state = {
  /** Place in `data.tokens`. */
  tokens: 0,
  /** Place in `data.machines`. */
  machine: 0,
  /** The machine's figures, as they may have been edited. @type {Rates} */
  rates: { bandwidth: 1, rates: {} },
  /** Whether values between kernels take no time. */
  cached: false,
  /** The kernel or op whose details are shown. @type {Chosen | undefined} */
  kernel: undefined,
  /** @type {number | undefined} */
  op: undefined,
};

/** @type {(() => void)[]} */
const listeners = [];

/** Calls back whenever what is shown has changed. @param {() => void} show */
export function whenShown(show) {
  listeners.push(show);
}

/** Changes what is shown. @param {Partial<typeof state>} changes */
export function change(changes) {
  Object.assign(state, changes);
  for (const listener of listeners) listener();
}

/** The chosen number of tokens with its figures. @returns {TokensData} */
export const counted = () => /** @type {TokensData} */ (data.tokens[state.tokens]);

/** The step that serves it. @returns {StepData} */
export const step = () => /** @type {StepData} */ (data.steps[counted().step]);

/** Place among the classes of bytes of values between kernels. */
const between = data.byteClasses.length - 1;

/**
 * @typedef {{ readonly kernel: KernelData, readonly place: number, readonly bytes: readonly number[], readonly total: number,
 *   readonly flops: number, readonly seconds: number, readonly bound: 'memory' | 'arithmetic' | '' }} Work
 */

/** Bytes, operations and least time of every kernel of the step. @returns {Work[]} */
export function works() {
  const { bandwidth, rates } = state.rates;
  return step().kernels.map((kernel, place) => {
    const figures = /** @type {readonly number[]} */ (counted().figures[place]);
    const bytes = figures.slice(0, -1);
    const flops = figures.at(-1) ?? 0;
    const total = sum(bytes);
    const moved = total - (state.cached ? (bytes[between] ?? 0) : 0);
    const [memory, arithmetic] = [moved / bandwidth, flops / (rates[kernel.arithmetic] ?? 1)];
    const bound = memory + arithmetic === 0 ? '' : memory >= arithmetic ? 'memory' : 'arithmetic';
    return { kernel, place, bytes, total, flops, seconds: Math.max(memory, arithmetic), bound };
  });
}

/** @param {readonly number[]} numbers */
export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** The kernel that details are shown of. @returns {KernelData | undefined} */
export function chosenKernel() {
  if (state.kernel === undefined) return undefined;
  return (state.kernel.list === 'prepare' ? data.prepare : step().kernels)[state.kernel.place];
}

/** Kernels of the step, and those at load, that compute an op. @param {number} op */
export const kernelsOfOp = (op) => ({
  step: step().kernels.flatMap(({ ops }, i) => (ops.includes(op) ? [i] : [])),
  prepare: data.prepare.flatMap(({ ops }, i) => (ops.includes(op) ? [i] : [])),
});

/** The kinds of arithmetic that the plan's kernels have. */
export const kinds = ['f32', 'bf16', 'i8'].filter((kind) =>
  data.steps.some(({ kernels }) => kernels.some(({ arithmetic }) => arithmetic === kind)),
);

/** The name of the machine, and whether its figures were edited. */
export function machineName() {
  const machine = data.machines[state.machine];
  if (machine === undefined) return '';
  const same =
    machine.bandwidth === state.rates.bandwidth &&
    kinds.every((k) => machine.rates[/** @type {'f32'} */ (k)] === state.rates.rates[k]);
  return same ? machine.name : `${machine.name}, edited`;
}
