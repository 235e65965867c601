// Programs of plain JavaScript over a bare addon, which start soon, and how they end.

import { spawn } from 'node:child_process';

/** Plain JavaScript over a bare addon, which starts soon: `load(copy)`, then `steps(T)` runs steps of T tokens for ever. */
export const bareProgram = (addon: string, weights: string) => `
  const { openSync, readSync } = require('node:fs');
  const addon = require(${JSON.stringify(addon)});
  const file = openSync(${JSON.stringify(weights)}, 'r');
  const head = Buffer.alloc(8);
  readSync(file, head, 0, 8, 0);
  const length = Number(head.readBigUInt64LE());
  const text = Buffer.alloc(length);
  readSync(file, text, 0, length, 8);
  const header = JSON.parse(text.toString());
  const sources = addon.describe().weights.map(({ name }) =>
    header[name] && {
      path: ${JSON.stringify(weights)},
      begin: 8 + length + header[name].data_offsets[0],
      dtype: header[name].dtype.toLowerCase(),
    });
  const load = async (copy) => {
    const weights = new addon.Weights();
    await weights.load(sources, 2, copy);
    return weights;
  };
  const open = async () => new addon.Session(await load(false), 2, [512, 2]);
  const step = async (session, T) => {
    const ids = Int32Array.from({ length: T }, (_, i) => i % 256);
    const sequence = Int32Array.from({ length: T }, (_, i) => i >> 8);
    await session.step([T, 2], [ids, ids, sequence], [new Float32Array(T * 257)]);
  };
  const steps = async (session, T) => {
    for (;;) await step(session, T);
  };
`;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from the word `now` on stdout, which stands before whatever ends the process. */
  readonly took: number;
}

/** Runs JavaScript in a process of its own; sends SIGTERM `kill` milliseconds after its first word. */
export function ending(code: string, kill?: number, environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['-e', code], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let [stdout, stderr, now] = ['', '', performance.now()];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (kill !== undefined && stdout === '') setTimeout(() => child.kill('SIGTERM'), kill);
    stdout += text;
    now = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => {
      clearTimeout(late);
      resolve({ code, signal, stdout, stderr, took: performance.now() - now });
    });
  });
}

/** `now`, said before what ends the process; written at once, whatever comes next. */
export const now = `require('node:fs').writeSync(1, 'now');`;
