// Serves a language model over HTTP.
//
//   npx tsx examples/server/main.ts --help

import { readOptions } from './options.ts';

const options = readOptions(process.argv);
// Help, and what is wrong with the command line, need not wait for the compiler.
const { run } = await import('./run.ts');
await run(options);
