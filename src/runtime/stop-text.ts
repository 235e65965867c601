// Stop strings in a growing text: text that may still become one is held back.

export interface StopText {
  /** Text that is certainly no part of a stop string; `stopped` when one is complete (it and what follows are dropped). */
  push(text: string): { text: string; stopped: boolean };
  /** What was held back. */
  end(): string;
}

/** @param stops non-empty strings; the one that is complete first wins */
export function createStopText(stops: readonly string[]): StopText {
  let held = '';
  return {
    push(text) {
      held += text;
      const at = Math.min(...stops.map((stop) => held.indexOf(stop)).filter((index) => index >= 0));
      if (at !== Number.POSITIVE_INFINITY) {
        const before = held.slice(0, at);
        held = '';
        return { text: before, stopped: true };
      }
      const keep = Math.max(0, ...stops.map((stop) => overlap(held, stop)));
      const free = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: free, stopped: false };
    },
    end() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
