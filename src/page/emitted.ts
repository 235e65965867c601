// The emitted lines of launches and the headers behind them, as lists that kernels refer to by place.

import type { ExcerptData, HeaderData } from './data.ts';
import type { SourceOf } from './kernels.ts';

/** What was emitted for a launch; see codegen/launch-excerpts.ts. */
export interface Emitted {
  readonly excerpts: readonly ExcerptData[];
  readonly header: string;
  readonly calls: string;
}

/** Collects what several schedules refer to, each text once. */
export class EmittedTexts {
  readonly excerpts: ExcerptData[] = [];
  readonly headers: HeaderData[] = [];
  readonly #texts: ReadonlyMap<string, string>;
  readonly #known = new Map<string, number>();

  /** `headers`: text by path, `cpu/linear.h`, with those that they include. */
  constructor(headers: ReadonlyMap<string, string>) {
    this.#texts = headers;
  }

  /** The places of a launch's texts. */
  placesOf({ excerpts, header, calls }: Emitted): SourceOf {
    const { path, line } = this.#definition(header, calls);
    return {
      excerpts: excerpts.map((excerpt) => this.#excerpt(excerpt)),
      header: this.#header(path),
      headerLine: line,
      calls,
    };
  }

  /** Where a function is defined: in a header or in one that it includes; the header itself where that is not to be found. */
  #definition(header: string, name: string): { readonly path: string; readonly line: number } {
    const seen = new Set([header]);
    for (const path of seen) {
      const text = this.#texts.get(path);
      if (text === undefined) continue;
      const line = definitionLine(text, name);
      if (line > 0) return { path, line };
      for (const [, file] of text.matchAll(/^#include "(?:[^"]*\/)?([^"/]+)"/gm))
        seen.add(`${header.split('/')[0]}/${file}`);
    }
    return { path: header, line: 0 };
  }

  #excerpt(excerpt: ExcerptData): number {
    return this.#once(`${excerpt.file}:${excerpt.line}`, this.excerpts, () => excerpt);
  }

  #header(path: string): number {
    return this.#once(path, this.headers, () => {
      const text = this.#texts.get(path) ?? '';
      return { path: `native/${path}`, about: openingComment(text), text };
    });
  }

  #once<T>(key: string, list: T[], make: () => T): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, list.length);
    return list.push(make()) - 1;
  }
}

/** The comment that a source opens with, without its slashes. */
function openingComment(text: string): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end < 0 ? lines.length : end)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
}

/** The line, from 1, on which a header defines a function: its name at the level of a namespace, behind a type; 0 where it does not. */
function definitionLine(text: string, name: string): number {
  if (name === '') return 0;
  return text.split('\n').findIndex((line) => new RegExp(`^[\\w:*&<> ]*[\\w*&>] ${name}\\(`).test(line)) + 1;
}
