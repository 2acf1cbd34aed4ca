/** `POST /upscale` with true progress, and the ways in which it can fail. */

const PASSING = new Set([429, 502, 503, 504]); // too many, or somebody behind the service is away
const FIRST_WAIT = 1; // s
const LONGEST_WAIT = 20; // s
const KEY_BYTES = 16;

/** The service refuses, and says why: a problem document (RFC 9457), or nothing that can be understood. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** No answer, or "not now": worth trying again, in `retryAfter` seconds where they are named. */
class Unavailable extends Error {
  constructor(status = 0, problem = null, retryAfter = null) {
    super(problem?.detail ?? "no answer");
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/**
 * Upload until the service answers; the answer is a task or a batch.
 *
 * @param {FormData} form
 * @param {object} how
 * @param {AbortSignal} how.signal
 * @param {(fraction: number) => void} how.onProgress
 * @param {(status: number, problem: object | null, seconds: number) => void} how.onTrouble before each new try;
 *   the status is 0 where there was no answer
 */
export async function upload(form, { signal, onProgress, onTrouble }) {
  let key = newKey();
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await post(form, key, signal, onProgress);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // An upload whose answer was lost is not taken twice: it comes with the same key. One that was refused was
      // not taken, and its key may be held as under way for a while.
      if (error.status) key = newKey();
      const seconds = Math.max(error.retryAfter ?? 0, wait);
      onTrouble(error.status, error.problem, seconds);
      await pause(seconds, signal);
    }
  }
}

/** A new Idempotency-Key. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES)); // randomUUID is not there on plain http
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** By XMLHttpRequest, since fetch does not tell how much of a body was sent. */
function post(form, key, signal, onProgress) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", "/upscale");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unavailable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      const document = parsed(request.responseText);
      if (request.status < 400 && document) resolve(document);
      else reject(failure(request, document));
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function failure(request, problem) {
  const retryAfter = Number.parseInt(request.getResponseHeader("Retry-After") ?? "", 10);
  if (PASSING.has(request.status) || retryAfter >= 0) {
    return new Unavailable(request.status, problem, Number.isNaN(retryAfter) ? null : retryAfter);
  }
  return new Refused(request.status, problem);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's own page
  }
}

/** Wait; no longer once the network is back. Rejects when `signal` is aborted. */
function pause(seconds, signal) {
  const over = new AbortController();
  return new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    window.addEventListener("online", resolve, { signal: over.signal });
    signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  }).finally(() => over.abort());
}
