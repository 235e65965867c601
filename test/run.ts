// Runs every test file in a process of its own, as many side by side as there are cores, and shows each one's output when it is done.
//
//   npm test [-- pattern …]     only files whose path under test/ matches one of the patterns

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { filesUnder, root } from './structure/sources.ts';

/** Those that compile much begin first, so that no core waits for the last of them. */
const longest = [/^native\/sanitized/, /^reference\//, /^ops\//, /^models\//, /^cli\//, /^passes\//];

const patterns = process.argv.slice(2).map((pattern) => new RegExp(pattern));
const files = filesUnder('test', /\.test\.ts$/)
  .map((path) => path.slice('test/'.length))
  .filter((path) => patterns.length === 0 || patterns.some((pattern) => pattern.test(path)));
const rank = (path: string): number => {
  const at = longest.findIndex((kind) => kind.test(path));
  return at < 0 ? longest.length : at;
};
files.sort((a, b) => rank(a) - rank(b));

let broken = 0;

/** Runs one file after another from the queue, until it is empty. */
async function work(): Promise<void> {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    const began = performance.now();
    const { output, status } = await run(file);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(
      `${output.trimEnd()}\n  Process:   ${seconds} s${status === 0 ? '' : `, ended with ${status}`}\n\n`,
    );
    if (status !== 0) broken++;
  }
}

const escaped = (path: string): string => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function run(file: string): Promise<{ output: string; status: number | string }> {
  return new Promise((resolve, reject) => {
    const uvu = ['--import', 'tsx', 'node_modules/uvu/bin.js', '--no-color', 'test', `^${escaped(file)}$`];
    const child = spawn(process.execPath, uvu, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ output, status: code ?? signal ?? 'nothing' }));
  });
}

if (files.length === 0) {
  console.error(`No file under test/ matches ${patterns.map(String).join(' or ')}.`);
  process.exitCode = 2;
}
await Promise.all(Array.from({ length: availableParallelism() }, work));
if (broken > 0) {
  console.error(`${broken} ${broken === 1 ? 'file' : 'files'} failed`);
  process.exitCode = 1;
}
