// Writes ONNX models: just enough of the protobuf format for a graph of nodes, initializers, inputs and outputs.
// Field numbers are those of onnx.proto, opset 17, IR version 8.

import type { Tensor } from 'ultramem/runtime';

/** A node's attribute: integers, or a float. */
export type Attribute = number | readonly number[] | { readonly float: number };

/** Builds a graph node by node; values are named by strings. */
export class OnnxGraph {
  readonly #nodes: Uint8Array[] = [];
  readonly #initializers: Uint8Array[] = [];
  readonly #inputs: Uint8Array[] = [];
  readonly #outputs: Uint8Array[] = [];
  #count = 0;

  get nodeCount(): number {
    return this.#nodes.length;
  }

  /** Adds an input f32; dims are numbers or symbols. */
  input(name: string, shape: readonly (number | string)[]): string {
    this.#inputs.push(message(11, valueInfo(name, shape)));
    return name;
  }

  output(name: string, shape: readonly (number | string)[]): void {
    this.#outputs.push(message(12, valueInfo(name, shape)));
  }

  /** Adds a weight or a constant: f32, or integers, which ONNX wants as int64. */
  constant(name: string, value: Tensor<'f32'> | Tensor<'i64'>): string {
    const { data, shape } = value;
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const dtype = value.dtype === 'f32' ? 1 : 7;
    const dims = message(1, joined(shape.map(varint)));
    this.#initializers.push(message(5, joined([dims, integer(2, dtype), text(8, name), message(9, raw)])));
    return name;
  }

  /** Integers of one axis, as shapes and axes are given. */
  integers(values: readonly number[]): string {
    const data = BigInt64Array.from(values, BigInt);
    return this.constant(`integers${this.#count++}`, { dtype: 'i64', shape: [values.length], data });
  }

  /** Adds a node and returns the names of its outputs. */
  node<N extends number = 1>(
    type: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
    outputs?: N | readonly string[],
  ): string[] {
    const names =
      typeof outputs === 'object'
        ? [...outputs]
        : Array.from({ length: outputs ?? 1 }, () => `${type}${this.#count++}`);
    const fields = [
      ...inputs.map((name) => text(1, name)),
      ...names.map((name) => text(2, name)),
      text(4, type),
      ...Object.entries(attributes).map(([name, value]) => message(5, attribute(name, value))),
    ];
    this.#nodes.push(message(1, joined(fields)));
    return names;
  }

  /** The whole model as a file's bytes. */
  bytes(): Uint8Array {
    const graph = [...this.#nodes, text(2, 'layer'), ...this.#initializers, ...this.#inputs, ...this.#outputs];
    return joined([integer(1, 8), message(7, joined(graph)), message(8, integer(2, 17))]);
  }
}

function attribute(name: string, value: Attribute): Uint8Array {
  if (typeof value === 'number') return joined([text(1, name), integer(3, value), integer(20, 2)]);
  if ('float' in value) {
    const float = new Uint8Array(5);
    float[0] = (2 << 3) | 5;
    new DataView(float.buffer).setFloat32(1, value.float, true);
    return joined([text(1, name), float, integer(20, 1)]);
  }
  return joined([text(1, name), ...value.map((v) => integer(8, v)), integer(20, 7)]);
}

function valueInfo(name: string, shape: readonly (number | string)[]): Uint8Array {
  const dims = shape.map((dim) => message(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)));
  return joined([text(1, name), message(2, message(1, joined([integer(1, 1), message(2, joined(dims))])))]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** A base-128 integer; negative ones as 64-bit two's complement. */
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

function integer(field: number, value: number): Uint8Array {
  return joined([varint(field << 3), varint(value)]);
}

function message(field: number, content: Uint8Array): Uint8Array {
  return joined([varint((field << 3) | 2), varint(content.length), content]);
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}
