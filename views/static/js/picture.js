/**
 * One picture on its way: waiting to be uploaded, uploaded, followed until it is made or has failed.
 *
 * Knows nothing of the page's elements. Whenever something changes it hands a state to its listener; `phase` says
 * which it is, and what else there is:
 *
 *     queued
 *     uploading  progress
 *     taken      task: that of the other picture which has the name
 *     pending    task, secondsLeft: what the service thinks, or null
 *     started    task, secondsLeft
 *     done       task, duplicate: the answer to the upload where the picture had been made before, else null
 *     expired    task
 *     cancelled
 *     failed     problem: a Problem
 *     unknown    (a remembered task that the service has forgotten)
 */

import { Problem, cancelTask, getTask, newKey, postPicture } from "./api.js";
import { formatBytes } from "./format.js";
import { forget, originalOf, remember } from "./memory.js";
import { pause, persist } from "./patience.js";

const POLL_SECONDS = 1; // where the service names no other
// The service says when the task may have ended; people also want to see how far it is.
const LONGEST_POLL_SECONDS = 3;

/** One upload at a time: the first pictures are made while the others are still on their way. */
let lastUpload = Promise.resolve();

export class Picture {
  #leaving = new AbortController();
  #listener;
  #optionsOf;
  #mostBytes;

  /**
   * @param {object} what
   * @param {string} what.name
   * @param {Blob | null} what.file null for a task of an earlier visit
   * @param {string | null} what.taskId
   * @param {object} surroundings
   * @param {(picture: Picture, state: object) => void} surroundings.listener
   * @param {() => Record<string, string>} surroundings.optionsOf the form fields to upload with, at this moment
   * @param {number} surroundings.mostBytes what the service takes
   */
  constructor({ name, file = null, taskId = null }, { listener, optionsOf, mostBytes }) {
    this.name = name;
    this.file = file;
    this.taskId = taskId;
    this.phase = null;
    this.#listener = listener;
    this.#optionsOf = optionsOf;
    this.#mostBytes = mostBytes;
  }

  /**
   * Upload the file with the present options and follow its task.
   *
   * @param {"return" | "rename" | "replace"} onConflict what is to happen where the name has a task already
   */
  upload(onConflict = "return") {
    return this.#told(async () => {
      const fields = this.#optionsOf();
      if (onConflict !== "return") fields.on_conflict = onConflict;
      const answer = await this.#send(fields);
      if (isOfAnother(answer.task)) return this.#show({ phase: "taken", task: answer.task });
      return this.#follow(answer);
    });
  }

  /** Upload under another name. */
  rename(name) {
    this.name = name;
    return this.upload();
  }

  /** Cancel the task. Whether that was in time is seen when it is looked at next. */
  async cancel() {
    try {
      await persist(() => cancelTask(this.taskId, this.#signal), this.#signal);
    } catch (error) {
      if (!(error instanceof Problem || this.#signal.aborted)) throw error; // a Problem: it is over already
    }
  }

  /** Go on where an earlier visit was. */
  restore() {
    return this.#told(async () => {
      this.file = await originalOf(this.taskId);
      return this.#follow(await this.#look(this.taskId));
    });
  }

  /** Stand for the picture that has the name, in place of the one that was to be uploaded. */
  becomeHolder(taskId) {
    return this.#told(async () => {
      this.file = await originalOf(taskId);
      return this.#follow(await this.#look(taskId));
    });
  }

  /** Stop whatever goes on. The task itself is left alone: others may wait for it. */
  leave() {
    this.#leaving.abort();
  }

  get #signal() {
    return this.#leaving.signal;
  }

  #show(state) {
    if (this.#signal.aborted) return;
    this.phase = state.phase;
    this.#listener(this, state);
  }

  /** Run `work`; what it fails with is shown, unless the picture has left the page. */
  async #told(work) {
    try {
      await work();
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.#show(error.code === "unknown_task" ? { phase: "unknown" } : { phase: "failed", problem: error });
    }
  }

  #send(fields) {
    this.#show({ phase: "queued" });
    const sent = lastUpload.then(async () => {
      this.#signal.throwIfAborted();
      await checkFile(this.file, this.#mostBytes);
      return this.#postUntilAnswered(fields);
    });
    lastUpload = sent.catch(() => {}); // the next one does not care
    return sent;
  }

  #postUntilAnswered(fields) {
    let key = newKey();
    return persist(async () => {
      try {
        return await this.#post(fields, key);
      } catch (error) {
        if (error.wasRefused) key = newKey(); // the service may hold a refused key as under way for a while
        throw error;
      }
    }, this.#signal);
  }

  #post(fields, key) {
    const onProgress = (progress) => this.#show({ phase: "uploading", progress });
    onProgress(0);
    return postPicture({ file: this.file, name: this.name, fields, key }, { onProgress, signal: this.#signal });
  }

  #look(id) {
    return persist(() => getTask(id, this.#signal), this.#signal);
  }

  /** Show how a task goes on until it has ended. */
  async #follow({ task, retryAfter, secondsLeft }) {
    const id = task.task_id;
    const duplicate = task.duplicate ? task : null;
    if (this.taskId !== id) this.#take(id);
    this.name = task.name;
    while (task.status === "PENDING" || task.status === "STARTED") {
      this.#show({ phase: task.status.toLowerCase(), task, secondsLeft });
      await pause(Math.min(retryAfter ?? POLL_SECONDS, LONGEST_POLL_SECONDS), this.#signal);
      ({ task, retryAfter, secondsLeft } = await this.#look(id));
    }
    this.#show(ending(task, duplicate));
  }

  /** Stand for another task than before. */
  #take(taskId) {
    if (this.taskId !== null) forget(this.taskId);
    this.taskId = taskId;
    remember(taskId, this.file);
  }
}

/** Whether an upload was answered with the task of another picture that has the same name. */
function isOfAnother(task) {
  return Boolean(task.duplicate) && !task.same_image;
}

function ending(task, duplicate) {
  if (task.status === "FAILURE") return { phase: "failed", problem: new Problem(task.error) };
  if (task.status === "REVOKED") return { phase: "cancelled" };
  return task.links.result ? { phase: "done", task, duplicate } : { phase: "expired", task };
}

/** What can be known without the service, which need not receive 60 MiB to refuse them. */
async function checkFile(file, mostBytes) {
  if (file.size > mostBytes) {
    const detail = `It has ${formatBytes(file.size)}; ${formatBytes(mostBytes)} are allowed. Choose a smaller one.`;
    throw new Problem({ code: "too_many_bytes", title: "The upload is too large", detail });
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    const detail = "The browser cannot read it. Is it a folder, or was it moved or changed meanwhile? Choose it again.";
    throw new Problem({ code: "unreadable_file", title: "The file cannot be read", detail });
  }
}
