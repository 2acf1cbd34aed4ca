/** The service's HTTP interface: one function a route, and the two ways in which it can fail. */

const PASSING = new Set([429, 502, 503, 504]); // too many, or somebody behind the service is away

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

/** No answer, or "not now" for a reason: worth trying again, after `retryAfter` seconds where they are named. */
export class Unavailable extends Error {
  constructor(detail, retryAfter = null) {
    super(detail ?? "no answer");
    this.name = "Unavailable";
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/**
 * What the service says of a task, and in how many seconds to ask again.
 *
 * @typedef {{task: any, retryAfter: number | null}} Answer
 */

/**
 * `GET /tasks/<id>`.
 *
 * @returns {Promise<Answer>}
 */
export async function getTask(id, signal) {
  let response;
  try {
    response = await fetch(`/tasks/${encodeURIComponent(id)}`, { headers: { Accept: "application/json" }, signal });
  } catch (error) {
    throw signal.aborted ? error : new Unavailable(null);
  }
  return judged(response.status, response.headers.get("Retry-After"), await response.text());
}

/**
 * `POST /upscale`. By XMLHttpRequest, since fetch does not tell how much of a body was sent.
 *
 * @param {{file: Blob, name: string, options: Record<string, string>}} upload
 * @param {{onProgress: (fraction: number) => void, signal: AbortSignal}} how
 * @returns {Promise<Answer>} a new task, or the one that the name or picture has already
 */
export function postPicture({ file, name, options }, { onProgress, signal }) {
  const form = new FormData();
  for (const [field, value] of Object.entries(options)) form.append(field, value);
  form.append("image", file, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/upscale");
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unavailable(null));
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      try {
        resolve(judged(request.status, request.getResponseHeader("Retry-After"), request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** The task in an answer; the failure that the answer stands for is thrown. */
function judged(status, retryAfterHeader, text) {
  const document = parsed(text);
  const retryAfter = seconds(retryAfterHeader);
  if (PASSING.has(status)) throw new Unavailable(document?.detail ?? null, retryAfter);
  if (status < 400 && document) return { task: document, retryAfter };
  throw new Problem({
    code: document?.code ?? "unexpected_answer",
    title: document?.title ?? "The answer makes no sense",
    detail: document?.detail ?? `Something between this page and the service answered with status ${status}. Try again.`,
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's own page
  }
}

function seconds(header) {
  const value = Number.parseInt(header ?? "", 10);
  return Number.isNaN(value) ? null : value;
}
