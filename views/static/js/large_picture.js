/**
 * A result too large to be handed to the browser as one image: it would show nothing else for seconds.
 *
 * It is fetched when somebody wants to see its pixels, decoded once beside the page's own work, and drawn as far
 * as it is in sight, on a canvas over the reduced picture.
 */

const TELL_AFTER = 300; // ms

export class LargePicture {
  #figure;
  #viewport;
  #pair;
  #canvas = document.createElement("canvas");
  #bitmap = null;
  #loading = null;

  /** @param {HTMLElement} figure a comparison whose `data-whole` is the address of the result */
  constructor(figure) {
    this.#figure = figure;
    this.#viewport = figure.querySelector(".viewport");
    this.#pair = figure.querySelector(".pair");
    this.#canvas.className = "in-sight";
  }

  /** Show its pixels while the comparison is zoomed. */
  show() {
    this.#loading ??= this.#load();
    this.#draw();
  }

  async #load() {
    const caption = this.#figure.querySelector(".caption");
    const said = caption.textContent;
    const telling = setTimeout(() => (caption.textContent = this.#figure.dataset.loading), TELL_AFTER);
    try {
      const answer = await fetch(this.#figure.dataset.whole);
      this.#bitmap = await createImageBitmap(await answer.blob());
      caption.textContent = said;
    } catch {
      caption.textContent = this.#figure.dataset.unshown; // too large for this browser's memory, or gone
      return;
    } finally {
      clearTimeout(telling);
    }
    this.#viewport.after(this.#canvas);
    this.#viewport.addEventListener("scroll", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.#pair);
    this.#draw();
  }

  #draw() {
    if (!this.#bitmap) return;
    const { clientWidth, clientHeight, scrollLeft, scrollTop } = this.#viewport;
    const scale = this.#bitmap.width / this.#pair.clientWidth;
    const [width, height] = [clientWidth, clientHeight].map((length) => Math.round(length * devicePixelRatio));
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    // In memory, not on the graphics card: many cards have no room for such a picture.
    const context = this.#canvas.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, width, height);
    const seen = [scrollLeft, scrollTop, clientWidth, clientHeight].map((length) => length * scale);
    context.drawImage(this.#bitmap, ...seen, 0, 0, width, height);
  }
}
