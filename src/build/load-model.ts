// Imports a model file and calls its default export with the config where it is a function.

import { readdirSync, statSync } from 'node:fs';
import { register } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  configUnused,
  modelFileBroken,
  modelFileMissing,
  modelFunctionFailed,
  noDefaultExport,
  notAModel,
} from '../support/errors/build.ts';
import { UltramemError } from '../support/errors.ts';

/**
 * Loads the model that the file at `path` exports. TypeScript files run through tsx, whether or not it is registered.
 * @throws UltramemError model-file-missing, model-file-broken, no-default-export, not-a-model, config-unused, model-function-failed;
 * typed errors of the model's own code pass through
 */
export async function importModel<M>(
  path: string,
  config: unknown,
  isModel: (value: unknown) => value is M,
): Promise<M> {
  const file = resolve(path);
  if (!isFile(file)) throw modelFileMissing(path, neighbours(path));
  const exported = await importFile(path, file);
  if (!('default' in exported)) throw noDefaultExport(path, Object.keys(exported));
  const made = exported.default;
  if (isModel(made)) {
    if (config !== undefined) throw configUnused(path);
    return made;
  }
  if (typeof made !== 'function') throw notAModel(path, describe(made));
  let returned: unknown;
  try {
    returned = await made(config);
  } catch (cause) {
    throw cause instanceof UltramemError ? cause : modelFunctionFailed(path, cause);
  }
  if (!isModel(returned)) throw notAModel(path, `a function that returns ${describe(returned)}`);
  return returned;
}

async function importFile(path: string, file: string): Promise<Record<string, unknown>> {
  const url = pathToFileURL(file).href;
  if (/^\.[cm]?tsx?$/.test(extname(file))) await registerLoaders();
  try {
    return await import(url);
  } catch (cause) {
    throw cause instanceof UltramemError ? cause : modelFileBroken(path, cause);
  }
}

let registered = false;

/** Once per process: the loader for TypeScript, and hooks that correct its answers. Modules stay shared with the model's. */
async function registerLoaders(): Promise<void> {
  if (registered) return;
  registered = true;
  const extension = extname(fileURLToPath(import.meta.url)); // .ts in a checkout, where the loader is at work already
  if (extension !== '.ts') (await import('tsx/esm/api')).register();
  register(`./model-file-hooks${extension}`, import.meta.url, { data: import.meta.url });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Paths like `path` that exist. */
function neighbours(path: string): string[] {
  const folder = dirname(path);
  try {
    const names = readdirSync(folder).filter((name) => /\.[cm]?[jt]s$/.test(name));
    return names.map((name) => (path === basename(path) ? name : join(folder, name)));
  } catch {
    return [];
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value instanceof Promise) return 'a promise';
  return typeof value === 'object'
    ? `an object with ${Object.keys(value).slice(0, 4).join(', ') || 'nothing in it'}`
    : `a ${typeof value}`;
}
