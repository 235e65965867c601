// Cases that a reference implementation computed: name.safetensors (in.*, w.*, mid.*, out.*) with name.json beside it.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { openSafetensors, readTensor, type SafetensorsFiles } from '../runtime/safetensors.ts';
import { badJson, nothingToVerify, unreadableFile } from '../support/errors/cli.ts';
import type { Tensor } from '../support/tensor.ts';

/** One case. Tensors are read when asked for. */
export interface Golden {
  readonly name: string;
  /** What was computed: ultramem_v1_layer, lm, … */
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly files: SafetensorsFiles;
}

/**
 * The cases at `path`: one .safetensors or .json, or a folder of them, sorted by name.
 * @throws UltramemError cli-nothing-to-verify, cli-unreadable-file, cli-bad-json, safetensors-*
 */
export async function openGoldens(path: string): Promise<Golden[]> {
  let stems: string[];
  try {
    stems = statSync(path).isDirectory() ? stemsIn(path) : [path.replace(/\.(safetensors|json)$/, '')];
  } catch (cause) {
    throw unreadableFile(path, 'case', cause);
  }
  if (stems.length === 0) throw nothingToVerify(path, 'no .safetensors with a .json beside it');
  return Promise.all(stems.map(openGolden));
}

const stemsIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors') && existsSync(join(folder, name.replace(/safetensors$/, 'json'))))
    .map((name) => join(folder, name.replace(/\.safetensors$/, '')))
    .sort();

async function openGolden(stem: string): Promise<Golden> {
  let text: string;
  try {
    text = readFileSync(`${stem}.json`, 'utf8');
  } catch (cause) {
    throw unreadableFile(`${stem}.json`, 'description of the case', cause);
  }
  let described: { kind?: unknown; config?: unknown };
  try {
    described = JSON.parse(text);
  } catch (cause) {
    throw badJson(`${stem}.json`, 'description of the case', cause);
  }
  if (typeof described?.kind !== 'string' || typeof described.config !== 'object' || described.config === null) {
    throw nothingToVerify(`${stem}.json`, 'it has no "kind" and "config"');
  }
  const path = `${stem}.safetensors`;
  const config = described.config as Record<string, unknown>;
  return { name: basename(stem), kind: described.kind, config, path, files: await openSafetensors(path) };
}

/** Tensors of the case whose names begin with `prefix` (`in.`, `mid.`, `out.`), by their full names. */
export async function goldenTensors(golden: Golden, prefix: string): Promise<Record<string, Tensor>> {
  const found: Record<string, Tensor> = {};
  for (const name of golden.files.tensors.keys()) {
    if (name.startsWith(prefix)) found[name] = await readTensor(golden.files, name);
  }
  return found;
}
