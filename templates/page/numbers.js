// Numbers as readers take them in. src/page/numbers.ts says them the same way.

/**
 * A number with the largest unit that it fills, to three figures.
 * @param {number} value @param {readonly string[]} units @param {number} factor
 */
function withUnit(value, units, factor) {
  let at = 0;
  for (; value >= factor && at < units.length - 1; at++) value /= factor;
  return `${at === 0 ? Number(value.toPrecision(4)) : Number(value.toPrecision(3))}${units[at]}`;
}

/** @param {number} bytes */
export const byteText = (bytes) => withUnit(bytes, [' bytes', ' KiB', ' MiB', ' GiB', ' TiB'], 1024);

/** @param {number} count */
export const countText = (count) => withUnit(count, ['', ' k', ' M', ' G', ' T'], 1000);

/** @param {number} seconds */
export function timeText(seconds) {
  if (seconds === 0) return '0';
  const nanoseconds = 1e9 * seconds;
  return nanoseconds < 1 ? '< 1 ns' : withUnit(Number(nanoseconds.toPrecision(3)), [' ns', ' µs', ' ms', ' s'], 1000);
}

/** @param {number} part @param {number} whole */
export const percentText = (part, whole) => `${whole === 0 ? 0 : Number(((100 * part) / whole).toPrecision(2))} %`;
