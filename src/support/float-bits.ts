// f16 and bf16 as raw 16-bit patterns, f8 (e4m3) as bytes: conversion from and to f32, rounding to nearest even.

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

/** The largest f8. */
export const mostF8 = 448;

/** The f8 nearest to an f32 (ties to even); beyond the largest the largest, of its sign; NaN stays NaN. */
export function toF8(value: number): number {
  word[0] = value;
  const b = bits[0]!;
  const sign = (b >>> 24) & 0x80;
  const magnitude = b & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7f;
  // Below 2^-6 steps are of 2^-9: adding 2^14 rounds there.
  if (magnitude < 0x3c800000) {
    bits[0] = magnitude;
    word[0] = word[0]! + 16384;
    return sign | (bits[0]! - 0x46800000);
  }
  return sign | Math.min(0x7e, (magnitude - 0x3c000000 + 0x7ffff + ((magnitude >>> 20) & 1)) >>> 20);
}

/** The value of an f8: 4 bits of exponent, 3 of fraction; all ones are NaN, and nothing is infinite. */
export function fromF8(pattern: number): number {
  const exponent = (pattern >> 3) & 15;
  const fraction = pattern & 7;
  const sign = pattern & 0x80 ? -1 : 1;
  if ((pattern & 0x7f) === 0x7f) return Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
}
