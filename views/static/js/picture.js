/**
 * One picture on its way: waiting to be uploaded, uploaded, followed until it is made or has failed.
 *
 * Knows nothing of the page's elements. Whenever something changes it hands a state to its listener; `phase` says
 * which it is, and what else there is:
 *
 *     queued
 *     uploading  progress
 *     taken      task: that of the other picture which has the name
 *     pending    task
 *     started    task
 *     done       task, duplicate: the answer to the upload where the picture had been made before, else null
 *     expired    task
 *     failed     problem: a Problem
 *     unknown    (a remembered task that the service has forgotten)
 */

import { Problem, getTask, postPicture } from "./api.js";
import { formatBytes } from "./format.js";
import { forget, originalOf, remember } from "./memory.js";
import { nextName } from "./names.js";
import { pause, persist } from "./patience.js";

const POLL_SECONDS = 1; // where the service names no other

/** One upload at a time: the first pictures are made while the others are still on their way. */
let lastUpload = Promise.resolve();

export class Picture {
  #leaving = new AbortController();
  #listener;
  #optionsOf;
  #mostBytes;
  #options = {};

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

  /** Upload the file with the present options and follow its task. */
  upload() {
    return this.#told(async () => {
      this.#options = this.#optionsOf();
      const answer = await this.#send();
      if (isOfAnother(answer.task)) return this.#show({ phase: "taken", task: answer.task });
      return this.#follow(answer);
    });
  }

  /** Upload under another name, or, should that belong to another picture too, the next one in the row. */
  uploadAs(name) {
    return this.#told(async () => {
      this.#options = this.#optionsOf();
      this.name = name;
      let answer = await this.#send();
      while (isOfAnother(answer.task)) {
        this.name = nextName(this.name);
        answer = await this.#send();
      }
      return this.#follow(answer);
    });
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

  #send() {
    this.#show({ phase: "queued" });
    const sent = lastUpload.then(async () => {
      this.#signal.throwIfAborted();
      await checkFile(this.file, this.#mostBytes);
      return persist(() => this.#post(), this.#signal);
    });
    lastUpload = sent.catch(() => {}); // the next one does not care
    return sent;
  }

  #post() {
    const onProgress = (progress) => this.#show({ phase: "uploading", progress });
    onProgress(0);
    return postPicture({ file: this.file, name: this.name, options: this.#options }, { onProgress, signal: this.#signal });
  }

  #look(id) {
    return persist(() => getTask(id, this.#signal), this.#signal);
  }

  /** Show how a task goes on until it has ended. */
  async #follow({ task, retryAfter }) {
    const id = task.task_id;
    const duplicate = task.duplicate ? task : null;
    if (this.taskId !== id) this.#take(id);
    this.name = task.name;
    while (task.status === "PENDING" || task.status === "STARTED") {
      this.#show({ phase: task.status.toLowerCase(), task });
      await pause(retryAfter ?? POLL_SECONDS, this.#signal);
      ({ task, retryAfter } = await this.#look(id));
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
  if (task.status === "SUCCESS") return task.links.result ? { phase: "done", task, duplicate } : { phase: "expired", task };
  const error = task.error ?? { code: "cancelled", title: "Cancelled", detail: "The task was cancelled." };
  return { phase: "failed", problem: new Problem(error) };
}

/** What can be known without the service, which need not receive 60 MiB to refuse them. */
async function checkFile(file, mostBytes) {
  if (file.size > mostBytes) {
    const detail = `The file has ${formatBytes(file.size)}; ${formatBytes(mostBytes)} are allowed. Choose a smaller one.`;
    throw new Problem({ code: "too_many_bytes", title: "The upload is too large", detail });
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    const detail = "The browser cannot read it. Is it a folder, or was it moved or changed meanwhile? Choose it again.";
    throw new Problem({ code: "unreadable_file", title: "The file cannot be read", detail });
  }
}
