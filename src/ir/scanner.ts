// Reads the text of a graph token by token, with line and column for faults.

import { irSyntax } from '../support/errors/ir.ts';
import type { UltramemError } from '../support/errors.ts';
import type { Loc } from './graph.ts';

/** A place in a text, moving forward. Spaces and comments between tokens are skipped; a comment at the end of a line may be a place. */
export class Scanner {
  readonly text: string;
  /** Offset of the next token. */
  position = 0;
  /** Offset just behind the last token. */
  #behind = 0;

  constructor(text: string) {
    this.text = text;
    this.#skip();
  }

  /** An `ir-syntax` error at an offset, by default the next token. */
  error(message: string, at: number = this.position, hint?: string): UltramemError {
    const before = this.text.slice(0, at).split('\n');
    return irSyntax(message, before.length, before.at(-1)!.length + 1, hint === '' ? undefined : hint);
  }

  /** Whether a sticky pattern matches at the next token. */
  sees(pattern: RegExp): boolean {
    pattern.lastIndex = this.position;
    return pattern.test(this.text);
  }

  takes(token: string): boolean {
    if (!this.text.startsWith(token, this.position)) return false;
    this.#move(this.position + token.length);
    return true;
  }

  takesWord(word: string): boolean {
    return this.sees(new RegExp(`${word}\\b`, 'y')) && this.takes(word);
  }

  token(token: string): void {
    if (!this.takes(token)) throw this.error(`expected "${token}"${this.#found()}`);
  }

  word(word: string): void {
    if (!this.takesWord(word)) throw this.error(`expected "${word}"${this.#found()}`);
  }

  oneOf<const W extends string>(...words: readonly W[]): W {
    const found = words.find((word) => this.takesWord(word));
    if (found === undefined) throw this.error(`expected ${words.join(' or ')}${this.#found()}`);
    return found;
  }

  identifier(what: string): string {
    return this.#match(/[A-Za-z_]\w*/y, what);
  }

  /** A plain name or a quoted one. */
  name(): string {
    return this.sees(/"/y) ? this.string() : this.#match(/[\w.]+/y, 'a name');
  }

  /** Id of a value behind its sigil. */
  value(sigils = '%@$'): string {
    const at = this.position;
    const found = this.#match(/[%@$][\w.]+/y, 'a value such as %x');
    if (!sigils.includes(found[0]!)) throw this.error(`expected a value with ${sigils}, found ${found}`, at);
    return found.slice(1);
  }

  integer(): number {
    return Number(this.#match(/\d+/y, 'an integer'));
  }

  number(): number {
    return Number(this.#match(/-?(\d+(\.\d+)?(e[+-]?\d+)?|Infinity)|NaN/y, 'a number'));
  }

  string(): string {
    const at = this.position;
    const source = this.#match(/"([^"\\\n]|\\.)*"/y, 'a quoted text');
    try {
      return JSON.parse(source) as string;
    } catch {
      throw this.error(`${source} is no JSON text`, at);
    }
  }

  /** A JSON value that ends with its line. */
  json(): unknown {
    const at = this.position;
    const source = this.#match(/[^\n]+/y, 'JSON');
    try {
      return JSON.parse(source);
    } catch {
      throw this.error('expected JSON up to the end of the line', at);
    }
  }

  /** The place in a comment `// file:line:column` behind the last token, on its line. */
  loc(): Loc | undefined {
    const rest = /[^\n]*/y;
    rest.lastIndex = this.#behind;
    const found = /^[ \t]*\/\/ (.+):(\d+):(\d+)\s*$/.exec(rest.exec(this.text)?.[0] ?? '');
    return found ? { file: found[1]!, line: Number(found[2]), column: Number(found[3]) } : undefined;
  }

  end(): void {
    if (this.position < this.text.length) throw this.error(`expected the end of the text${this.#found()}`);
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw this.error(`expected ${what}${this.#found()}`);
    this.#move(this.position + found.length);
    return found;
  }

  #move(to: number): void {
    this.#behind = to;
    this.position = to;
    this.#skip();
  }

  #skip(): void {
    const blank = /(\s|\/\/[^\n]*)*/y;
    blank.lastIndex = this.position;
    this.position += blank.exec(this.text)![0].length;
  }

  #found(): string {
    const [found] = /^[^\s]{1,20}/.exec(this.text.slice(this.position, this.position + 20)) ?? [];
    return found === undefined ? ', found the end' : `, found "${found}"`;
  }
}
