// f16 and bf16 as raw 16-bit patterns: conversion from and to f32, rounding to nearest even.

import { Float16Array } from '@petamoriken/float16';

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);
const half = new Float16Array(1);
const halfBits = new Uint16Array(half.buffer);

/** The bf16 nearest to a number (ties to even); NaN stays a quiet NaN. */
export function toBf16(value: number): number {
  word[0] = value;
  const b = bits[0]!;
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x40;
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16(pattern: number): number {
  bits[0] = pattern << 16;
  return word[0]!;
}

/** The f16 nearest to a number (ties to even). */
export function toF16(value: number): number {
  half[0] = value;
  return halfBits[0]!;
}

export function fromF16(pattern: number): number {
  halfBits[0] = pattern;
  return half[0]!;
}
