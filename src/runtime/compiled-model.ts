// What every generated class stands on: an addon, its loaded weights, and sessions that share them.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonNotFound, addonUnloadable, disposed } from '../support/errors/session.ts';
import type { ModelDescription, TokenizerDescription } from './description.ts';
import type { LoadedModel } from './engine.ts';
import type { MemoryUse } from './memory.ts';
import type { NativeAddon } from './native-addon.ts';
import { type LoadOptions, loadNative } from './native-engine.ts';
import { Session, type SessionOptions, sessionSymbols } from './session.ts';
import type { WeightsLike } from './weights.ts';

export interface CompiledModelOptions extends LoadOptions, SessionOptions {}

/**
 * Loads the addon `name` beside the module at `url`.
 * @throws UltramemError addon-not-found, addon-unloadable
 */
export function requireAddon(url: string, name: string): NativeAddon {
  const path = join(dirname(fileURLToPath(url)), name);
  if (!existsSync(path)) throw addonNotFound(path, undefined);
  try {
    return createRequire(url)(path) as NativeAddon;
  } catch (cause) {
    throw addonUnloadable(path, cause);
  }
}

/**
 * Loads weights into an addon and opens a session on them.
 * @throws UltramemError those of loadNative and sessionSymbols
 */
export async function openNative(
  addon: NativeAddon,
  weights: WeightsLike,
  options: CompiledModelOptions & { readonly tokenizer?: TokenizerDescription | undefined } = {},
): Promise<Opened> {
  const native = await loadNative(addon, weights, options);
  try {
    return { native, session: openOn(native, options), users: new Set() };
  } catch (error) {
    native.dispose();
    throw error;
  }
}

/** Loaded weights and one session on them. */
export interface Opened {
  readonly native: LoadedModel;
  readonly session: Session;
  /** Models on these weights that are not disposed. */
  readonly users: Set<object>;
}

function openOn(native: LoadedModel, options: SessionOptions): Session {
  return new Session(native.openEngine(sessionSymbols(native.model, options), options.threads), options);
}

/** Base of generated classes: loaded weights and one session. `openSession` of a generated class shares the weights. */
export abstract class CompiledModel {
  readonly session: Session;
  readonly #native: LoadedModel;
  readonly #users: Set<object>;

  protected constructor({ native, session, users }: Opened) {
    this.#native = native;
    this.#users = users.add(this);
    this.session = session;
  }

  get description(): ModelDescription {
    return this.session.model;
  }

  /** What the session and the weights take now, in bytes: see MemoryUse. @throws UltramemError disposed */
  memory(): MemoryUse {
    return this.session.memory();
  }

  /** Opens a further session on the same weights. @throws UltramemError disposed */
  protected share(options: SessionOptions): Opened {
    if (!this.#users.has(this)) throw disposed('the model');
    return { native: this.#native, session: openOn(this.#native, options), users: this.#users };
  }

  /** Frees the session; the weights go with the last session that uses them. Safe during a call, which fails; safe twice. */
  dispose(): void {
    this.session.dispose();
    this.#users.delete(this);
    if (this.#users.size === 0) this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** As dispose; resolves once nothing runs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    await this.session[Symbol.asyncDispose]();
  }
}
