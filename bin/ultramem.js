#!/usr/bin/env node
// The command. In a checkout it runs src/ as it is, through tsx; in an installed package it runs dist/.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const checkout = existsSync(new URL('src/cli/main.ts', root));

if (checkout) {
  // The project's tsconfig makes 'ultramem' mean src/, wherever the model file and the working directory are.
  const { register } = await import('tsx/esm/api');
  register({ tsconfig: fileURLToPath(new URL('tsconfig.json', root)) });
}

const { main } = await import(new URL(checkout ? 'src/cli/main.ts' : 'dist/cli/main.js', root).href);
process.exitCode = await main(process.argv.slice(2));
