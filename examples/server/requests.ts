// The requests that are being answered: each with the signal that ends it, all of them known to a shutdown.

import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream';
import { type ApiError, clientGone, shuttingDown, timedOut } from './api-error.ts';

export class Requests {
  /** Seconds that a request may take, waiting included. */
  readonly timeout: number;
  readonly #open = new Set<AbortController>();
  readonly #idle: (() => void)[] = [];
  #draining = false;

  constructor(timeout: number) {
    this.timeout = timeout;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get open(): number {
    return this.#open.size;
  }

  /**
   * The signal of a request: aborted with an ApiError when the client goes away, the time is up or the server shuts down.
   * @throws ApiError 503 shutting_down while draining
   */
  begin(response: ServerResponse): AbortSignal {
    if (this.#draining) throw shuttingDown();
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(timedOut(this.timeout)), 1000 * this.timeout);
    this.#open.add(controller);
    finished(response, (error) => {
      clearTimeout(timer);
      if (error) controller.abort(clientGone());
      this.#open.delete(controller);
      if (this.#open.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
    return controller.signal;
  }

  /** Refuses requests from now on. Resolves when those that are open have been answered. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      if (this.#open.size === 0) resolve();
      else this.#idle.push(resolve);
    });
  }

  /** Ends those that are open: with an error, or a last event that says it. */
  abort(reason: ApiError): void {
    for (const controller of this.#open) controller.abort(reason);
  }
}
