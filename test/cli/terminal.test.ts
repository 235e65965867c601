// The progress line of the command: one line of stderr, where somebody watches, and gone before anything else is said.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { processTerminal, type Terminal } from '../../src/cli/terminal.ts';

const test = suite('terminal');

/** What `use` writes to a stderr that is a terminal so many columns wide, or none. */
async function stderrOf(
  columns: number | undefined,
  use: (terminal: Terminal, soFar: () => string) => void | Promise<void>,
): Promise<string> {
  const { stderr } = process;
  const own = { isTTY: stderr.isTTY, columns: stderr.columns, write: stderr.write };
  const listeners = stderr.listeners('error');
  let text = '';
  const write = (part: string): boolean => {
    text += part;
    return true;
  };
  Object.assign(stderr, { isTTY: columns !== undefined, columns, write });
  try {
    const terminal = processTerminal(new AbortController().signal);
    await use(terminal, () => text);
    const written = text;
    terminal.endProgress(); // its line is drawn every second
    return written;
  } finally {
    Object.assign(stderr, own);
    for (const stream of [process.stdout, stderr]) {
      for (const listener of stream.listeners('error')) {
        if (!listeners.includes(listener)) stream.off('error', listener as () => void);
      }
    }
  }
}

const clear = '\r\x1b[K';

test('stages, and the share that is done where it is known', async () => {
  const text = await stderrOf(80, (terminal) => {
    terminal.progress({ stage: 'translating' });
    terminal.progress({ stage: 'reading weights', done: 0, total: 3e9 });
    terminal.progress({ stage: 'reading weights', done: 2.999e9, total: 3e9 });
    terminal.progress({ stage: 'preparing weights', done: 3e9, total: 3e9 });
    terminal.note('done');
  });
  const lines = ['translating', 'reading weights 0 %', 'reading weights 99 %', 'preparing weights 100 %'];
  assert.is(text, `${lines.map((line) => `${clear}${line}`).join('')}${clear}done\n`);
});

test('narrower than the terminal; as wide as it needs where the terminal does not say', async () => {
  const long = { stage: 'moving weights to the device', done: 1, total: 2 };
  assert.is(await stderrOf(20, (terminal) => terminal.progress(long)), `${clear}moving weights to t`);
  assert.is(await stderrOf(0, (terminal) => terminal.progress(long)), `${clear}moving weights to the device 50 %`);
});

test('a stage that takes long says so every second, to its end', async () => {
  const text = await stderrOf(80, async (terminal, soFar) => {
    terminal.progress({ stage: 'compiling', done: 1, total: 5 });
    for (const until = Date.now() + 20_000; !soFar().includes(', 3 s') && Date.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    terminal.endProgress();
    await new Promise((resolve) => setTimeout(resolve, 1200));
  });
  const [first, ...others] = text.split(clear).slice(1);
  assert.is(first, 'compiling 20 %');
  assert.is(others.pop(), '', 'nothing is drawn after the end');
  assert.ok(others.includes('compiling 20 %, 3 s'), JSON.stringify(text));
});

test('nothing where nobody watches', async () => {
  const text = await stderrOf(undefined, (terminal) => {
    terminal.progress({ stage: 'reading weights', done: 1, total: 2 });
    terminal.endProgress();
  });
  assert.is(text, '');
});

test.run();
