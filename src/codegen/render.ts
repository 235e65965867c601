// Template + view → text: the only user of Handlebars. Views are plain objects of final strings, numbers and booleans;
// reading anything that a view lacks is an error with the path of what was read.

import { readdirSync, readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import Handlebars from 'handlebars';
import { InvariantError, invariant } from '../support/errors.ts';

const folder = fileURLToPath(new URL('../../templates/', import.meta.url));

// strict catches missing fields in plain tags, the sealed view catches them everywhere else; C++ must not be escaped.
const options: CompileOptions = Object.freeze({ noEscape: true, strict: true, knownHelpersOnly: true });

const engine = Handlebars.create();
const compiled = new Map<string, HandlebarsTemplateDelegate>();
let sources: Map<string, string> | undefined;

/** Renders the template at `templates/<name>.hbs`; other templates are its partials, by the same kind of name. */
export function render(name: string, view: object): string {
  const template = compiled.get(name) ?? compile(name);
  return template(sealed(view, name));
}

function compile(name: string): HandlebarsTemplateDelegate {
  sources ??= readTemplates();
  const source = sources.get(name);
  invariant(source !== undefined, `no template ${name}`);
  const template = engine.compile(source, options);
  compiled.set(name, template);
  return template;
}

/** Reads every template once and registers it as a partial (as text: a compiled partial would ignore the options). */
function readTemplates(): Map<string, string> {
  const found = new Map<string, string>();
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !entry.name.endsWith('.hbs')) continue;
    const path = `${entry.parentPath}${sep}${entry.name}`;
    const name = relative(folder, path)
      .split(sep)
      .join('/')
      .replace(/\.hbs$/, '');
    const source = readFileSync(path, 'utf8');
    found.set(name, source);
    engine.registerPartial(name, source);
  }
  return found;
}

/** A view whose every read of an unknown name throws, however deep. */
function sealed(value: unknown, at: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === 'string' && !(key in target)) {
        throw new InvariantError(`ultramem bug: a template reads ${at}.${key}, which its view does not have`);
      }
      const read: unknown = Reflect.get(target, key);
      return typeof read === 'function' ? read : sealed(read, `${at}.${String(key)}`);
    },
  });
}
