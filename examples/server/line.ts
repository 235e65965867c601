// Admission: so many generations run at once, so many wait for their turn in order, and more are refused.

import { ApiError } from './api-error.ts';

/** A place in the line. */
export interface Turn {
  /** Resolves when the turn has come; rejects when it is given up before, with the signal's reason where that was why. */
  readonly come: Promise<void>;
  /** Waits no longer; nothing where the turn has come. */
  giveUp(): void;
  /** Ends a turn that has come, and makes room for the next; nothing where it was given up. Safe twice. */
  leave(): void;
}

/** How much of the mean is the latest turn. */
const LATEST = 0.2;

export class Line {
  readonly slots: number;
  readonly mostWaiting: number;
  /** What begins the turns that wait, in order. */
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** Seconds that a turn takes, of late. */
  #seconds = 1;

  constructor(slots: number, mostWaiting: number) {
    this.slots = slots;
    this.mostWaiting = mostWaiting;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Places for the generations of one request: for all of them, or for none.
   * @param signal gives up those that wait
   * @throws ApiError 429 rate_limit_exceeded, with the seconds after which a place is likely
   */
  join(count: number, signal: AbortSignal): readonly Turn[] {
    const { slots, mostWaiting, running, waiting } = this;
    if (count > slots - running + mostWaiting - waiting) {
      const retryAfter = Math.min(60, Math.max(1, Math.ceil((this.#seconds * (waiting + count)) / slots)));
      const message = `${running} generations run and ${waiting} wait; try again in ${retryAfter} s`;
      throw new ApiError(429, 'rate_limit_exceeded', message, { retryAfter });
    }
    return Array.from({ length: count }, () => this.#turn(signal));
  }

  #turn(signal: AbortSignal): Turn {
    let state: 'waits' | 'runs' | 'over' = 'waits';
    let began = 0;
    let giveUp = (): void => {};
    const come = new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal.removeEventListener('abort', giveUp);
        state = 'runs';
        began = performance.now();
        this.#running++;
        resolve();
      };
      giveUp = () => {
        if (state !== 'waits') return;
        signal.removeEventListener('abort', giveUp);
        state = 'over';
        const at = this.#waiting.indexOf(begin);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal.reason ?? new Error('the turn was given up'));
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(begin);
    });
    come.catch(() => {}); // one that was given up need not be waited for
    this.#admit();
    const leave = (): void => {
      if (state !== 'runs') return;
      state = 'over';
      this.#running--;
      this.#seconds += LATEST * ((performance.now() - began) / 1000 - this.#seconds);
      this.#admit();
    };
    return { come, giveUp, leave };
  }

  #admit(): void {
    while (this.#running < this.slots && this.#waiting.length > 0) this.#waiting.shift()!();
  }
}
