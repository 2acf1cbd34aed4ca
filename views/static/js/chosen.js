/**
 * The pictures that are chosen and not sent yet: each with a preview, its size and what it will become.
 *
 * They stand in the form's own file input, so that the form sends them like any other.
 */

import { mendedName } from "./names.js";
import { formatBytes, formatMillions, formatSize, t } from "./texts.js";

/**
 * @typedef {object} Picture
 * @property {File} file under the name that it will have
 * @property {string} preview address of the picture, as a blob: URL
 * @property {{width: number, height: number} | null} size in pixels; null for what is no picture
 * @property {string} note what is to be said of it before it is sent
 * @property {string} fault why it cannot be sent at all, whatever the options
 */

export class Chosen {
  /** @type {Picture[]} */
  #pictures = [];
  #limits;

  /**
   * @param {{list: HTMLElement, section: HTMLElement, template: HTMLTemplateElement, input: HTMLInputElement}} parts
   * @param {{maxBytes: number, maxInputPixels: number, maxOutputPixels: number}} limits
   * @param {() => number} scaleOf the factor that is chosen at this moment
   * @param {() => void} onChange
   */
  constructor(parts, limits, scaleOf, onChange) {
    Object.assign(this, parts);
    this.#limits = limits;
    this.scaleOf = scaleOf;
    this.onChange = onChange;
  }

  get files() {
    return this.#pictures.map(({ file }) => file);
  }

  /** The preview of the chosen file of that name. */
  previewOf(name) {
    return this.#pictures.find(({ file }) => file.name === name)?.preview;
  }

  get canBeSent() {
    return !this.fault && !this.#pictures.some((picture) => this.#faultOf(picture));
  }

  /** Why the pictures cannot be sent together, in a sentence; empty if they can. What ails one is said beside it. */
  get fault() {
    const bytes = this.files.reduce((sum, { size }) => sum + size, 0);
    const most = this.#limits.maxBytes;
    return bytes > most ? t("too_many_together", { bytes: formatBytes(bytes), most: formatBytes(most) }) : "";
  }

  /** Add files; one of the same name takes the place of the earlier. */
  async add(files) {
    const added = await Promise.all(files.map((file) => this.#looked(file)));
    const names = new Set(added.map(({ file }) => file.name));
    this.#pictures = [...this.#pictures.filter(({ file }) => !names.has(file.name)), ...added];
    this.show();
  }

  remove(name) {
    URL.revokeObjectURL(this.previewOf(name));
    this.#pictures = this.#pictures.filter(({ file }) => file.name !== name);
    this.show();
  }

  /** Show the pictures with what they will become, and put them into the form. */
  show() {
    const transfer = new DataTransfer();
    for (const file of this.files) transfer.items.add(file);
    this.input.files = transfer.files;
    this.list.replaceChildren(...this.#pictures.map((picture) => this.#element(picture)));
    this.section.hidden = this.#pictures.length === 0;
    this.onChange();
  }

  async #looked(file) {
    const preview = URL.createObjectURL(file);
    const { maxBytes } = this.#limits;
    let [size, name, fault] = [null, file.name, ""];
    try {
      name = await mendedName(file);
      size = await sizeOf(preview);
      if (size === null) fault = t("not_a_picture");
    } catch {
      fault = t("unreadable");
    }
    if (file.size > maxBytes) {
      fault = t("too_many_bytes", { bytes: formatBytes(file.size), most: formatBytes(maxBytes) });
    }
    const note = name === file.name ? "" : t("called", { name });
    return { file: note ? new File([file], name, { type: file.type }) : file, preview, size, note, fault };
  }

  #becomes({ width, height }) {
    const scale = this.scaleOf();
    return { width: Math.round(width * scale), height: Math.round(height * scale) };
  }

  #faultOf({ size, fault }) {
    if (fault || !size) return fault;
    const { maxInputPixels, maxOutputPixels } = this.#limits;
    const result = this.#becomes(size);
    const [before, after] = [size.width * size.height, result.width * result.height];
    if (before > maxInputPixels) {
      return t("too_many_pixels", { pixels: formatMillions(before), most: formatMillions(maxInputPixels) });
    }
    if (after > maxOutputPixels) {
      return t("too_large_result", { pixels: formatMillions(after), most: formatMillions(maxOutputPixels) });
    }
    return "";
  }

  #element(picture) {
    const { file, preview, size } = picture;
    const element = this.template.content.firstElementChild.cloneNode(true);
    const part = (name) => element.querySelector(name);
    part("img").src = preview;
    part("img").hidden = size === null;
    part(".chosen-name").textContent = file.name;
    part(".chosen-facts").textContent = size
      ? t("becomes", {
          before: formatSize(size),
          after: formatSize(this.#becomes(size)),
          bytes: formatBytes(file.size),
        })
      : formatBytes(file.size);
    const fault = this.#faultOf(picture);
    part(".chosen-note").textContent = fault || picture.note;
    part(".chosen-note").hidden = !(fault || picture.note);
    element.classList.toggle("is-faulty", Boolean(fault));
    part(".remove").setAttribute("aria-label", t("remove", { name: file.name }));
    part(".remove").addEventListener("click", () => {
      this.remove(file.name);
      (this.list.querySelector(".remove") ?? this.input).focus();
    });
    return element;
  }
}

/** The size of a picture as it is to be looked at; null for what this browser cannot decode. */
async function sizeOf(address) {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return { width: image.naturalWidth, height: image.naturalHeight };
}
