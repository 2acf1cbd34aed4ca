/** The card of one picture: its elements, filled from the picture's state. */

import { comparison } from "./comparison.js";
import { mendedName, nextName } from "./names.js";
import { describe } from "./words.js";

// Trying again with the same file would end the same way.
const FILE_AT_FAULT = new Set(["animated_image", "empty_image", "too_many_bytes", "undecodable", "unreadable_file"]);
const NAME_AT_FAULT = new Set(["invalid_name", "unsupported_format"]);

export class Card {
  #parts;
  #state = null;
  #thumbnailOf = null;
  #address = null; // of the original, as a blob: URL

  /** @param {() => void} onRemove */
  constructor(onRemove) {
    const template = document.getElementById("card-template");
    this.element = template.content.firstElementChild.cloneNode(true);
    const part = (name) => this.element.querySelector(`.${name}`);
    this.#parts = {
      thumbnail: part("thumb-image"),
      name: part("card-name"),
      facts: part("card-facts"),
      status: part("card-status"),
      cancel: part("cancel"),
      compare: part("compare"),
      download: part("download"),
      remove: part("remove"),
      progress: part("progress"),
      notice: part("notice"),
      noticeTitle: part("notice-title"),
      noticeText: part("notice-text"),
      noticeActions: part("notice-actions"),
    };
    this.#parts.remove.addEventListener("click", onRemove);
    // A file that is no picture has no thumbnail.
    this.#parts.thumbnail.addEventListener("error", () => this.#parts.thumbnail.toggleAttribute("hidden", true));
  }

  /** Show a picture in this state. */
  show(picture, state) {
    const words = describe(picture, state);
    this.element.dataset.phase = state.phase;
    this.#parts.name.textContent = picture.name;
    this.#parts.name.title = picture.name;
    this.#parts.status.textContent = words.status;
    this.#parts.facts.textContent = words.facts;
    this.#parts.remove.setAttribute("aria-label", `Remove ${picture.name} from this page`);
    this.#showThumbnail(picture.file);
    this.#showProgress(words.progress, picture.name);
    this.#showNotice(words.notice);
    this.#showCancel(picture, state);
    this.#showResult(picture, state);
    this.#offerActions(picture, state);
  }

  /** What it says of how the picture stands. */
  get text() {
    const { status, noticeTitle, noticeText } = this.#parts;
    return [status, noticeTitle, noticeText]
      .map((part) => part.textContent.replace(/[^.]$/, "$&."))
      .join(" ")
      .trim();
  }

  /** Open the comparison of a finished picture. */
  openComparison() {
    if (!this.element.querySelector(".comparison")) this.#parts.compare.click();
  }

  focus() {
    this.#parts.remove.focus();
  }

  /** Let go of what the card holds beside its elements. */
  dispose() {
    this.element.remove();
    if (this.#address) URL.revokeObjectURL(this.#address);
  }

  #showThumbnail(file) {
    if (file === this.#thumbnailOf) return;
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#thumbnailOf = file;
    this.#address = file && URL.createObjectURL(file);
    this.#parts.thumbnail.hidden = !file;
    if (this.#address) this.#parts.thumbnail.src = this.#address;
  }

  #showProgress(progress, name) {
    const bar = this.#parts.progress;
    bar.hidden = progress === null;
    bar.setAttribute("aria-label", `Progress of ${name}`);
    if (typeof progress === "number") {
      bar.setAttribute("aria-valuenow", String(Math.round(progress * 100)));
      bar.style.setProperty("--done", progress);
    } else {
      bar.removeAttribute("aria-valuenow");
    }
  }

  #showNotice(notice) {
    this.#parts.notice.hidden = !notice;
    this.#parts.notice.dataset.tone = notice?.tone ?? "";
    this.#parts.noticeTitle.textContent = notice?.title ?? "";
    this.#parts.noticeText.textContent = notice?.text ?? "";
  }

  #showCancel(picture, { phase }) {
    const { cancel } = this.#parts;
    cancel.hidden = phase !== "pending" && phase !== "started";
    cancel.setAttribute("aria-label", `Cancel ${picture.name}`);
    cancel.onclick = () => picture.cancel();
  }

  #showResult(picture, { phase, task }) {
    const { compare, download } = this.#parts;
    const isDone = phase === "done";
    this.element.querySelector(".comparison")?.remove();
    download.hidden = compare.hidden = !isDone;
    if (!isDone) return;
    download.href = task.links.result;
    download.setAttribute("aria-label", `Download ${picture.name}`);
    const verb = picture.file ? "Compare" : "View";
    const label = (isOpen) => {
      compare.textContent = isOpen ? "Close" : verb;
      compare.setAttribute("aria-label", isOpen ? `Close ${picture.name}` : `${verb} ${picture.name}`);
      compare.setAttribute("aria-expanded", String(isOpen));
    };
    label(false);
    compare.onclick = () => {
      const open = this.element.querySelector(".comparison");
      if (open) open.remove();
      else this.element.append(this.#comparison(picture, task));
      label(!open);
    };
  }

  #comparison(picture, task) {
    return comparison({
      name: picture.name,
      before: this.#address,
      after: task.links.result,
      source: task.source,
      result: task.result,
    });
  }

  async #offerActions(picture, state) {
    this.#state = state;
    const buttons = picture.file ? await actions(picture, state) : [];
    if (this.#state === state) this.#parts.noticeActions.replaceChildren(...buttons);
  }
}

/** What can be done, by buttons, where it did not simply go well. */
async function actions(picture, { phase, task, problem, duplicate }) {
  // The service takes the next number itself, should that one be taken too.
  const renamed = uploadAs(nextName(picture.name), () => picture.upload("rename"));
  if (phase === "taken") {
    return [renamed, button("Show that picture", () => picture.becomeHolder(task.task_id))];
  }
  if (phase === "done" && duplicate && !duplicate.same_request) {
    return [renamed, button("Replace that result", () => picture.upload("replace"))];
  }
  if (phase === "expired" || phase === "cancelled") return [button("Make it again", () => picture.upload())];
  if (phase !== "failed") return [];
  if (NAME_AT_FAULT.has(problem.code)) {
    const name = await mendedName(picture.file, picture.name);
    return name === picture.name ? [] : [uploadAs(name, () => picture.rename(name))];
  }
  return FILE_AT_FAULT.has(problem.code) ? [] : [button("Try again", () => picture.upload())];
}

function uploadAs(name, onClick) {
  return button(`Upload as “${name}”`, onClick);
}

function button(label, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button";
  element.textContent = label;
  element.addEventListener("click", onClick);
  return element;
}
