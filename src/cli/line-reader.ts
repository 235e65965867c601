// Lines that a person types at a prompt, while between them something else writes to the same terminal.

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** Where to write to; `columns` where it is a terminal. */
export type Output = NodeJS.WritableStream & { readonly columns?: number };

export interface LineReader {
  /** Shows the prompt and gives the next line, one typed ahead at once; undefined when no more come. */
  next(): Promise<string | undefined>;
  /** No more lines are read. Safe twice. */
  close(): void;
}

export interface LineReaderOptions {
  readonly prompt: string;
  /** Whether keys come one by one: then a line can be edited, earlier ones come back, and Ctrl-C is a key. */
  readonly keys: boolean;
  /** Ctrl-C while no line is awaited. */
  onInterrupt(): void;
}

/** At the prompt Ctrl-C clears the line, on an empty one it ends the lines when it comes twice; Ctrl-D ends them at once. */
export function readLines(input: NodeJS.ReadableStream, output: Output, options: LineReaderOptions): LineReader {
  const { prompt, keys } = options;
  let asking = false; // what is typed is shown only while a line is awaited
  let ahead = 0; // lines that came before they were awaited
  let warned = false;
  let closed = false;
  const echo = new Writable({
    write(chunk, _encoding, done) {
      if (asking) output.write(chunk);
      done();
    },
  });
  Object.defineProperty(echo, 'columns', { get: () => output.columns });
  const reader = createInterface({ input, output: echo, terminal: keys, prompt, historySize: 1000 });
  const lines = reader[Symbol.asyncIterator]();
  const close = (): void => {
    if (!closed) reader.close();
  };
  reader.on('close', () => (closed = true));
  reader.on('line', () => {
    if (!asking) ahead++;
    asking = false;
    warned = false;
  });
  reader.on('SIGINT', () => {
    if (!asking) return options.onInterrupt();
    if (reader.line !== '') {
      reader.write(null, { ctrl: true, name: 'e' });
      reader.write(null, { ctrl: true, name: 'u' });
      return;
    }
    if (warned) return close();
    warned = true;
    output.write('\n(Ctrl-C again, or Ctrl-D, ends)\n');
    reader.prompt();
  });
  return {
    async next() {
      if (ahead > 0) {
        ahead--;
        const { value } = await lines.next();
        output.write(`${prompt}${value}\n`);
        return value;
      }
      asking = true;
      if (!closed) reader.prompt(true);
      const { done, value } = await lines.next();
      if (done && keys) output.write('\n');
      asking = false;
      return done ? undefined : value;
    },
    close,
  };
}
