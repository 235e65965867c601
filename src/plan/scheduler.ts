// Collects the launches and buffers of one schedule while kernels/ decides op by op. The step's scheduler hands work on
// weights alone (packing, copies) to the scheduler of prepare.

import { type Graph, type Node, type Result, type Type, typeText, type ValueId } from '../ir/graph.ts';
import { type DType, dtypeBytes } from '../support/dtype.ts';
import { invariant } from '../support/errors.ts';
import { align, placeBuffers, stackBuffers } from './arena.ts';
import type { DeviceLaunch, DeviceScheduler } from './device/launch.ts';
import { usedTogether } from './device/streams.ts';
import type { GraphIndex } from './graph-index.ts';
import type { Kernel, KernelForms } from './launch.ts';
import type { AnyLaunch, Buffer, Count, Decision, Schedule, Space, View } from './types.ts';
import { denseView, elementsPerToken, innerContiguous, isDense, mergeAxes, tokenAxis, tokenForm } from './views.ts';

/** Turns the launches of a step into those of a device. */
export interface Device {
  /** Largest T of the variant. */
  readonly maxTokens: number;
  lower(launch: AnyLaunch, at: DeviceScheduler): void;
}

interface Draft {
  readonly name: string;
  readonly type: Type;
  space: Space;
  index: number;
}

/** What a launch needs besides its kernel. */
interface LaunchParts<K extends Kernel> {
  readonly rows?: Count;
  readonly constants: KernelForms[K]['constants'];
  readonly reads: Readonly<Record<KernelForms[K]['reads'], View | null>>;
  readonly writes: Readonly<Record<KernelForms[K]['writes'], View>>;
}

export const ONCE: Count = { factor: 1, tokens: false };

/** Rows of a view: everything but its last axes, as one count with one stride. */
export interface Rows {
  readonly view: View;
  readonly rows: Count;
  readonly ld: number;
}

/** Elements of a packed weight [N,K]: panels of 64 columns, pairs of bf16 side by side; see native/cpu/linear.h. */
export const packedElements = (dtype: DType, n: number, k: number): number =>
  Math.ceil(n / 64) * 64 * (dtype === 'bf16' ? 2 * Math.ceil(k / 2) : k);

export class Scheduler {
  readonly launches: AnyLaunch[] = [];
  /** What the launches became, where the steps run on a device. */
  readonly deviceLaunches: DeviceLaunch[] = [];
  readonly graph: Graph;
  readonly index: GraphIndex;
  readonly decisions: Decision[];
  readonly #prepare: Scheduler | undefined;
  readonly #device: Device | undefined;
  readonly #views = new Map<ValueId, View>();
  readonly #drafts = new Map<string, Draft>();
  readonly #made = new Map<string, View>();
  readonly #shared = new Map<string, Readonly<Record<string, View>>>();
  #node: Node | undefined;

  constructor(index: GraphIndex, prepare?: Scheduler, device?: Device) {
    this.index = index;
    this.graph = index.graph;
    this.#prepare = prepare;
    this.#device = device;
    this.decisions = prepare?.decisions ?? [];
  }

  /** Launches from here on belong to this node. */
  begin(node: Node): void {
    this.#node = node;
  }

  /** Records a choice with its reason, once. */
  decide(subject: string, choice: string, reason: string): void {
    if (!this.decisions.some((d) => d.subject === subject && d.choice === choice)) {
      this.decisions.push({ subject, choice, reason });
    }
  }

  /** The view of a value: computed here, in prepare, or a leaf. */
  view(id: ValueId): View {
    const known = this.#views.get(id) ?? (this.index.stageOf(id) === 'prepare' ? this.#prepare?.view(id) : undefined);
    if (known !== undefined) return known;
    const leaf = this.index.leaf(id);
    if (leaf !== undefined) {
      const prefix = { input: 'in', weight: 'w', state: 's' }[leaf.space];
      const view = this.#add(`${prefix}_${identifier(id)}`, leaf.type, leaf.space, leaf.index);
      this.define(id, view);
      return view;
    }
    const constant = this.index.constant(id);
    invariant(constant !== undefined, `value ${id} is used before it is planned`);
    return (this.#prepare ?? this).#fill(id, constant.value, constant.type);
  }

  define(id: ValueId, view: View): void {
    this.#views.set(id, view);
  }

  /** Memory for a node's result; dense, T outermost. */
  result(result: Result): View {
    const view = this.temporary(result.id, result.type);
    this.define(result.id, view);
    return view;
  }

  /** Memory for something that is no value of the graph. */
  temporary(base: string, type: Type): View {
    invariant(
      type.shape.filter((d) => typeof d === 'string').length <= 1,
      `${base}: ${typeText(type)} has two symbolic dims`,
    );
    const inPrepare = this.#prepare === undefined;
    return this.#add(`${inPrepare ? 'p' : 'v'}_${identifier(base)}`, type, inPrepare ? 'scratch' : 'arena', 0);
  }

  launch<K extends Kernel>(kernel: K, parts: LaunchParts<K>): void {
    const node = this.#node;
    const launch = {
      kernel,
      rows: parts.rows ?? ONCE,
      constants: parts.constants,
      reads: parts.reads,
      writes: parts.writes,
      computes: node === undefined ? '' : this.index.text(node),
      nodes: node === undefined ? [] : [node.results[0]!.id],
      loc: node?.loc,
    } as unknown as AnyLaunch;
    this.launches.push(launch);
    if (this.#device !== undefined) this.#device.lower(launch, this.#deviceScheduler(launch, this.#device));
  }

  /** Whether steps run on a device: it takes weights as they are, not packed for the CPU's vectors. */
  get onDevice(): boolean {
    return this.#device !== undefined;
  }

  #deviceScheduler({ computes, nodes, loc }: AnyLaunch, { maxTokens }: Device): DeviceScheduler {
    return {
      maxTokens,
      rowsAtMost: ({ factor, tokens }) => factor * (tokens ? maxTokens : 1),
      temporary: (base, type) => this.temporary(base, type),
      emit: (launch) => void this.deviceLaunches.push({ shared: 0, stream: 0, ...launch, computes, nodes, loc }),
      decide: (subject, choice, reason) => this.decide(subject, choice, reason),
    };
  }

  /** Lets `arrange` replace the launches; it is told which buffers are gone after the step. */
  arrangeLaunches(
    arrange: (launches: readonly AnyLaunch[], isTemporary: (buffer: string) => boolean) => readonly AnyLaunch[],
  ): void {
    const arranged = arrange(this.launches, (buffer) => this.#draft(buffer).space === 'arena');
    this.launches.splice(0, this.launches.length, ...arranged);
  }

  /** Lets `arrange` replace the launches of the device; it is told which buffers are gone after the step. */
  arrangeDeviceLaunches(
    arrange: (launches: readonly DeviceLaunch[], isTemporary: (buffer: string) => boolean) => readonly DeviceLaunch[],
  ): void {
    const arranged = arrange(this.deviceLaunches, (buffer) => this.#draft(buffer).space === 'arena');
    this.deviceLaunches.splice(0, this.deviceLaunches.length, ...arranged);
  }

  /** The same elements with inner axes row-major; copied where they are not, in prepare where T is not involved. */
  contiguous(view: View): View {
    return innerContiguous(view) ? view : this.#copy(view);
  }

  /** The same elements without any gaps. */
  dense(view: View): View {
    return isDense(view) ? view : this.#copy(view);
  }

  /** The same elements as f32, for kernels of the CPU that take nothing else: converted when weights load. */
  widened(view: View): View {
    if (view.dtype === 'f32' || this.onDevice) return view;
    return this.prepared(`widened ${JSON.stringify(view)}`, (prepare) => {
      const wide = prepare.temporary(`${stem(view.buffer)}_wide`, { dtype: 'f32', shape: view.shape });
      prepare.copyInto(view, wide);
      return wide;
    });
  }

  /** The view as rows of its last `innerRank` axes (T counts as outside, wherever it stands). */
  rows(view: View, innerRank: number): Rows {
    const form = tokenForm(view);
    const lead = form.dims.length - innerRank;
    const inner = form.dims.slice(lead).reduce((n, d) => n * d, 1);
    const merged = mergeAxes(form.dims.slice(0, lead), [form.strides.slice(0, lead)]);
    const factor = form.dims.slice(0, lead).reduce((n, d) => n * d, 1);
    const leadStride = merged.operands[0]![0]!;
    const leadMerges = merged.dims.length === 1;
    let stride = 1;
    let innerRowMajor = true;
    for (let axis = form.dims.length - 1; axis >= lead; axis--) {
      if (form.dims[axis] !== 1 && form.strides[axis] !== stride) innerRowMajor = false;
      stride *= form.dims[axis]!;
    }
    const tokensMerge = !form.tokens || factor === 1 || form.ld === leadStride * factor;
    if (innerRowMajor && leadMerges && tokensMerge) {
      const ld = factor > 1 ? leadStride : form.tokens ? form.ld : inner;
      return { view, rows: { factor, tokens: form.tokens }, ld };
    }
    const copy = this.#copy(view);
    return { view: copy, rows: { factor, tokens: form.tokens }, ld: inner };
  }

  /** `make` once per key in prepare; what it returns is kept for the step. */
  prepared(key: string, make: (prepare: Scheduler) => View): View {
    const prepare = this.#prepare ?? this;
    const known = prepare.#made.get(key);
    if (known !== undefined) return known;
    const node = prepare.#node;
    prepare.#node = this.#node;
    const view = make(prepare);
    prepare.#node = node;
    prepare.#made.set(key, view);
    return view;
  }

  /** What `make` made the first time under this key, in this schedule. */
  once<V extends Readonly<Record<string, View>>>(key: string, make: () => V): V {
    const known = this.#shared.get(key);
    if (known !== undefined) return known as V;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  /** Whether a buffer of this name exists. */
  has(name: string): boolean {
    return this.#drafts.has(name);
  }

  /** Whether the view lies in memory that prepare can read: a weight or a prepared value. */
  isPrepared(view: View): boolean {
    const space = this.#draft(view.buffer).space;
    return space === 'weight' || space === 'scratch' || space === 'prepared';
  }

  /** Whether the view lies in a weight that stays in its file. */
  isInFile(view: View): boolean {
    const { space, index } = this.#draft(view.buffer);
    return space === 'weight' && this.graph.weights[index]!.placement === 'file';
  }

  /** Gives output `index` its memory: the value's own buffer where that is dense and whole, else a copy. */
  bindOutput(index: number, name: string, id: ValueId): void {
    const view = this.view(id);
    const draft = this.#drafts.get(view.buffer);
    const whole =
      draft?.space === 'arena' &&
      view.offset === 0 &&
      isDense(view) &&
      elementsPerToken(draft.type.shape) === elementsPerToken(view.shape);
    if (whole) {
      draft.space = 'output';
      draft.index = index;
      return;
    }
    this.#node = undefined;
    const type = { dtype: view.dtype, shape: view.shape };
    this.copyInto(view, this.#add(`out_${identifier(name)}`, type, 'output', index));
    this.decide(`output ${name}`, 'copied', 'its memory is part of another value, so it cannot be the caller’s');
  }

  /** Copies elements between views of the same shape. */
  copyInto(x: View, y: View): void {
    const from = tokenForm(x);
    const to = tokenForm(y);
    const merged = mergeAxes(from.dims, [from.strides, to.strides]);
    this.launch('copy', {
      rows: { factor: 1, tokens: to.tokens },
      constants: { dims: merged.dims, xStrides: merged.operands[0]!, yStrides: merged.operands[1]! },
      reads: { x },
      writes: { y },
    });
  }

  /** Places the buffers for runs of up to `maxTokens`. `kept` names prepare's buffers that the steps read. */
  finish(
    maxTokens: number,
    kept: ReadonlySet<string> = new Set(),
  ): Omit<Schedule, 'launches'> & { readonly keptBytes: number } {
    const spans = new Map<string, { first: number; last: number }>();
    const touched = this.onDevice
      ? this.deviceLaunches.map(({ pointers }) => pointers.map(({ view }) => view))
      : this.launches.map((launch) => [...Object.values(launch.reads), ...Object.values(launch.writes)]);
    for (const [i, views] of (touched as (View | null)[][]).entries()) {
      for (const view of views) {
        if (view === null) continue;
        const span = spans.get(view.buffer);
        spans.set(view.buffer, { first: span?.first ?? i, last: i });
      }
    }
    const buffers = [...spans].map(([name, span]) => {
      const draft = this.#draft(name);
      const space: Space =
        draft.space === 'scratch' && (kept.has(name) || this.#prepare !== undefined) ? 'prepared' : draft.space;
      const { dtype, shape } = draft.type;
      const count = elementsPerToken(shape) * (tokenAxis(shape) >= 0 ? maxTokens : 1);
      const bytes = align(count * dtypeBytes[dtype]);
      return { name, space, dtype, shape, holds: typeText(draft.type), index: draft.index, bytes, ...span };
    });
    const own = buffers.filter((b) => b.space === 'arena' || b.space === 'scratch');
    const placed = this.onDevice ? placeBuffers(own, usedTogether(this.deviceLaunches)) : placeBuffers(own);
    const stays = this.#prepare === undefined ? buffers.filter((b) => b.space === 'prepared') : [];
    const stacked = stackBuffers(stays);
    const offsets = new Map<string, number>([
      ...own.map((b, i) => [b.name, placed.offsets[i]!] as const),
      ...stays.map((b, i) => [b.name, stacked.offsets[i]!] as const),
    ]);
    return {
      buffers: buffers.map((b): Buffer => ({ ...b, offset: offsets.get(b.name) ?? 0 })),
      bytes: placed.bytes,
      keptBytes: stacked.bytes,
    };
  }

  #copy(view: View): View {
    const source = this.#prepare !== undefined && this.isPrepared(view) ? this.#prepare : this;
    const key = `copy ${JSON.stringify(view)}`;
    const make = (at: Scheduler): View => {
      const type: Type = { dtype: view.dtype, shape: view.shape };
      const copy = at.temporary(`${stem(view.buffer)}_rows`, type);
      at.copyInto(view, copy);
      return copy;
    };
    if (source !== this) return this.prepared(key, make);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const copy = make(this);
    this.#made.set(key, copy);
    this.decide(view.buffer, 'copied', `a kernel wants rows without gaps, strides are [${view.strides.join(',')}]`);
    return copy;
  }

  #fill(id: ValueId, value: number, type: Type): View {
    const view = this.#add(`p_${identifier(id)}`, type, 'scratch', 0);
    this.define(id, view);
    this.launch('fill', { constants: { value }, reads: {}, writes: { y: view } });
    return view;
  }

  #add(base: string, type: Type, space: Space, index: number): View {
    let name = base;
    for (let n = 2; this.#drafts.has(name) || this.#prepare?.has(name); n++) name = `${base}_${n}`;
    this.#drafts.set(name, { name, type, space, index });
    return denseView({ name }, type);
  }

  #draft(name: string): Draft {
    const draft = this.#drafts.get(name) ?? (this.#prepare === undefined ? undefined : this.#prepare.#drafts.get(name));
    invariant(draft !== undefined, `no buffer ${name}`);
    return draft;
  }
}

/** A value id as (part of) a C++ identifier: underscores for the rest, never two in a row, as C++ reserves those. */
export const identifier = (id: string): string => id.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_|_$/g, '');

/** A buffer's name without the letter that says where it lies, to name another after it. */
export const stem = (buffer: string): string => buffer.replace(/^(p|v|w|in|s)_/, '');
