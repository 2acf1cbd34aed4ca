/** The service's HTTP interface: one function a route, and the two ways in which it can fail. */

const PASSING = new Set([429, 502, 503, 504]); // too many, or somebody behind the service is away
const REFUSED = new Set([429, 503]);
const KEY_BYTES = 16;

/** The service refuses or cannot do it, and says why: a problem document (RFC 9457), or a task's `error`. */
export class Problem extends Error {
  constructor({ code, title, detail }) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.title = title;
    this.detail = detail;
  }
}

/**
 * No answer, or "not now" for a reason: worth trying again, after `retryAfter` seconds where they are named.
 * `wasRefused` tells that nothing was taken; else nobody knows.
 */
export class Unavailable extends Error {
  constructor({ detail = null, retryAfter = null, wasRefused = false } = {}) {
    super(detail ?? "no answer");
    this.name = "Unavailable";
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.wasRefused = wasRefused;
  }
}

/**
 * What the service says of a task, in how many seconds it may be worth asking again, and how many it thinks are
 * left until the task is done.
 *
 * @typedef {{task: any, retryAfter: number | null, secondsLeft: number | null}} Answer
 */

/**
 * `GET /tasks/<id>`.
 *
 * @returns {Promise<Answer>}
 */
export function getTask(id, signal) {
  return ask("GET", id, signal);
}

/**
 * `DELETE /tasks/<id>`: cancel it.
 *
 * @returns {Promise<Answer>}
 */
export function cancelTask(id, signal) {
  return ask("DELETE", id, signal);
}

async function ask(method, id, signal) {
  const headers = { Accept: "application/json" };
  let response;
  try {
    response = await fetch(`/tasks/${encodeURIComponent(id)}`, { method, headers, signal });
  } catch (error) {
    throw signal.aborted ? error : new Unavailable();
  }
  return judged(response.status, await response.text(), (header) => response.headers.get(header));
}

/** A new Idempotency-Key: an upload that is repeated with it, because its answer was lost, is not taken twice. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES)); // randomUUID is not there on plain http
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * `POST /upscale`. By XMLHttpRequest, since fetch does not tell how much of a body was sent.
 *
 * @param {{file: Blob, name: string, fields: Record<string, string>, key: string}} upload
 * @param {{onProgress: (fraction: number) => void, signal: AbortSignal}} how
 * @returns {Promise<Answer>} a new task, or the one that the name or picture has already
 */
export function postPicture({ file, name, fields, key }, { onProgress, signal }) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append("image", file, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/upscale");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unavailable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      try {
        resolve(judged(request.status, request.responseText, (header) => request.getResponseHeader(header)));
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** The task in an answer; the failure that the answer stands for is thrown. */
function judged(status, text, header) {
  const document = parsed(text);
  const retryAfter = wholeNumber(header("Retry-After"));
  if (status < 400 && document)
    return { task: document, retryAfter, secondsLeft: secondsLeft(document, header("Date")) };
  // Whoever says when to come back means "not now".
  if (PASSING.has(status) || retryAfter !== null) {
    throw new Unavailable({ detail: document?.detail, retryAfter, wasRefused: REFUSED.has(status) });
  }
  throw new Problem({
    code: document?.code ?? "unexpected_answer",
    title: document?.title ?? "The answer makes no sense",
    detail:
      document?.detail ?? `Something between this page and the service answered with status ${status}. Try again.`,
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's own page
  }
}

function wholeNumber(header) {
  const value = Number.parseInt(header ?? "", 10);
  return Number.isNaN(value) ? null : value;
}

/** By the service's clock on both ends: the visitor's may be wrong. */
function secondsLeft({ eta }, date) {
  const left = (Date.parse(eta) - Date.parse(date)) / 1000;
  return Number.isNaN(left) ? null : Math.max(0, left);
}
