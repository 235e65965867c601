// Text → graph; the inverse of print. Faults are `ir-syntax` errors with line and column.

import { type DType, dtypes, quantisedDtypes } from '../support/dtype.ts';
import { deepFreeze } from '../support/freeze.ts';
import { didYouMean } from '../support/suggest.ts';
import { inferTypes } from './build-node.ts';
import type { Attr, Attrs, Dim, Graph, Input, Meta, Named, Node, State, SymbolDim, Type, Weight } from './graph.ts';
import { placements, storedAs, typeText } from './graph.ts';
import { isProblem } from './op.ts';
import { isKind, ops } from './ops/index.ts';
import { Scanner } from './scanner.ts';

interface Draft {
  meta: Meta;
  symbols: SymbolDim[];
  inputs: Input[];
  weights: Weight[];
  states: State[];
  nodes: Node[];
  outputs: Named[];
  taps: Named[];
}

/**
 * Parses the text of a graph. Result types may be left out (` : …`); they are inferred, and checked where they stand.
 * Throws `ir-syntax`.
 */
export function parse(text: string): Graph {
  const scan = new Scanner(text);
  scan.word('graph');
  const name = scan.name();
  scan.token('{');
  const draft: Draft = { meta: {}, symbols: [], inputs: [], weights: [], states: [], nodes: [], outputs: [], taps: [] };
  const types = new Map<string, Type>();
  while (!scan.takes('}')) {
    const at = scan.position;
    const word = scan.identifier('a statement');
    const statement = Object.hasOwn(statements, word) ? statements[word as keyof typeof statements] : undefined;
    if (!statement) {
      throw scan.error(`no statement starts with "${word}"`, at, didYouMean(word, Object.keys(statements)).trim());
    }
    statement(scan, draft, types);
  }
  scan.end();
  return deepFreeze({ name, ...draft });
}

const statements = {
  meta(scan: Scanner, draft: Draft) {
    draft.meta = scan.json() as Meta;
  },
  symbol(scan: Scanner, draft: Draft) {
    const name = scan.identifier('the name of a symbol');
    scan.token('<=');
    const bound = scan.integer();
    const scope = scan.oneOf('step', 'session');
    draft.symbols.push({ name, bound, scope });
  },
  input(scan: Scanner, draft: Draft, types: Types) {
    const [id, type] = leaf(scan, '%', types, draft);
    const below = scan.takesWord('below') ? dim(scan, draft) : undefined;
    draft.inputs.push({ kind: 'input', id, type, below, loc: scan.loc() });
  },
  weight(scan: Scanner, draft: Draft, types: Types) {
    const at = scan.position;
    const id = scan.value('@');
    const name = scan.string();
    const type = define(scan, id, at, types, draft);
    const optional = scan.takesWord('optional');
    const below = scan.takesWord('below') ? scan.integer() : undefined;
    const placement = scan.takesWord('in') ? scan.oneOf(...placements) : 'memory';
    draft.weights.push({ kind: 'weight', id, name, type, optional, below, placement, loc: scan.loc() });
  },
  state(scan: Scanner, draft: Draft, types: Types) {
    const [id, type] = leaf(scan, '$', types, draft);
    draft.states.push({ kind: 'state', id, type, loc: scan.loc() });
  },
  prepare: (scan: Scanner, draft: Draft, types: Types) => block(scan, draft, types, 'prepare'),
  step: (scan: Scanner, draft: Draft, types: Types) => block(scan, draft, types, 'step'),
  output(scan: Scanner, draft: Draft, types: Types) {
    draft.outputs.push(named(scan, types));
  },
  tap(scan: Scanner, draft: Draft, types: Types) {
    draft.taps.push(named(scan, types));
  },
};

type Types = Map<string, Type>;

function leaf(scan: Scanner, sigil: string, types: Types, draft: Draft): [string, Type] {
  const at = scan.position;
  const id = scan.value(sigil);
  return [id, define(scan, id, at, types, draft)];
}

/** ` : type` of a leaf. */
function define(scan: Scanner, id: string, at: number, types: Types, draft: Draft): Type {
  scan.token(':');
  const type = typeOf(scan, draft);
  if (types.has(id)) throw scan.error(`value ${id} is defined twice`, at);
  types.set(id, type);
  return type;
}

function named(scan: Scanner, types: Types): Named {
  const name = scan.name();
  scan.token('=');
  return { name, value: use(scan, types) };
}

function use(scan: Scanner, types: Types): string {
  const at = scan.position;
  const id = scan.value();
  if (!types.has(id))
    throw scan.error(`value ${id} is used before it is defined`, at, didYouMean(id, types.keys()).trim());
  return id;
}

function block(scan: Scanner, draft: Draft, types: Types, stage: Node['stage']): void {
  scan.token('{');
  while (!scan.takes('}')) draft.nodes.push(node(scan, types, draft, stage));
}

function node(scan: Scanner, types: Types, draft: Draft, stage: Node['stage']): Node {
  const start = scan.position;
  const ids = [scan.value('%')];
  while (scan.takes(',')) ids.push(scan.value('%'));
  scan.token('=');
  const at = scan.position;
  const op = scan.identifier('an op');
  if (!isKind(op)) throw scan.error(`no op is called "${op}"`, at, didYouMean(op, Object.keys(ops)).trim());
  const inputs: string[] = [];
  if (scan.sees(/[%@$]/y)) {
    do inputs.push(use(scan, types));
    while (scan.takes(','));
  }
  const attrs = scan.takes('{') ? attrsOf(scan) : {};
  const inferred = inferTypes(
    op,
    inputs.map((id) => types.get(id)!),
    attrs,
  );
  if (isProblem(inferred)) throw scan.error(inferred.message, at, inferred.hint);
  if (inferred.length !== ids.length)
    throw scan.error(`${op} has ${inferred.length} results, not ${ids.length}`, start);
  const results: Type[] = [...inferred];
  if (scan.takes(':')) {
    for (const [i, type] of inferred.entries()) {
      if (i > 0) scan.token(',');
      const typeAt = scan.position;
      const stated = typeOf(scan, draft);
      if (!storedAs(type, stated))
        throw scan.error(`stated as ${typeText(stated)}, but it is ${typeText(type)}`, typeAt);
      results[i] = stated;
    }
  }
  for (const [i, id] of ids.entries()) {
    if (types.has(id)) throw scan.error(`value ${id} is defined twice`, start);
    types.set(id, results[i]!);
  }
  return { op, inputs, attrs, results: ids.map((id, i) => ({ id, type: results[i]! })), stage, loc: scan.loc() };
}

function attrsOf(scan: Scanner): Attrs {
  const attrs: Record<string, Attr> = {};
  while (!scan.takes('}')) {
    if (Object.keys(attrs).length > 0) scan.token(',');
    const at = scan.position;
    const name = scan.identifier('an attribute');
    if (name in attrs) throw scan.error(`attribute ${name} stands twice`, at);
    scan.token('=');
    attrs[name] = attr(scan);
  }
  return attrs;
}

function attr(scan: Scanner): Attr {
  if (scan.sees(/"/y)) return scan.string();
  if (scan.takesWord('true')) return true;
  if (scan.takesWord('false')) return false;
  if (!scan.takes('[')) return scan.number();
  const items: (number | string)[] = [];
  while (!scan.takes(']')) {
    if (items.length > 0) scan.token(',');
    items.push(scan.sees(/"/y) ? scan.string() : scan.number());
  }
  return items as Attr;
}

function typeOf(scan: Scanner, draft: Draft): Type {
  const at = scan.position;
  const word = scan.identifier('a type');
  const known = [...dtypes, ...quantisedDtypes];
  const dtype = known.find((one): one is DType => one === word);
  if (!dtype) throw scan.error(`no element type is called "${word}"`, at, didYouMean(word, known).trim());
  scan.token('[');
  const shape: Dim[] = [];
  while (!scan.takes(']')) {
    if (shape.length > 0) scan.token(',');
    shape.push(dim(scan, draft));
  }
  return { dtype, shape };
}

function dim(scan: Scanner, draft: Draft): Dim {
  if (scan.sees(/\d/y)) return scan.integer();
  const at = scan.position;
  const name = scan.identifier('a size or a symbol');
  const known = draft.symbols.map((symbol) => symbol.name);
  if (!known.includes(name)) throw scan.error(`no symbol is called "${name}"`, at, didYouMean(name, known).trim());
  return name;
}
