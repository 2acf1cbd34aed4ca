/** Waiting: between two looks at a task, and for a service that is away. */

import { Unavailable } from "./api.js";

const HIDDEN_TIMES = 10; // nobody looks: a tenth of the questions will do
const FIRST_WAIT = 1; // s
const LONGEST_WAIT = 20; // s

/** Tells of trouble: "away" events with the Unavailable as `detail`, and "back" events. */
export const connection = new EventTarget();

/**
 * Wait so many seconds; longer while the tab is hidden, and no longer once it is shown again or the network is
 * back. Rejects when `signal` is aborted.
 */
export function pause(seconds, signal) {
  signal.throwIfAborted();
  const over = new AbortController();
  return new Promise((resolve, reject) => {
    const wake = () => document.hidden || resolve();
    setTimeout(resolve, seconds * 1000 * (document.hidden ? HIDDEN_TIMES : 1));
    document.addEventListener("visibilitychange", wake, { signal: over.signal });
    window.addEventListener("online", resolve, { signal: over.signal });
    signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  }).finally(() => over.abort());
}

/** What `attempt` returns, tried again and again, ever more slowly, while the service is away. */
export async function persist(attempt, signal) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const result = await attempt();
      connection.dispatchEvent(new Event("back"));
      return result;
    } catch (error) {
      if (!(error instanceof Unavailable)) {
        if (!signal.aborted) connection.dispatchEvent(new Event("back"));
        throw error;
      }
      connection.dispatchEvent(new CustomEvent("away", { detail: error }));
      await pause(Math.max(error.retryAfter ?? 0, wait), signal);
    }
  }
}
