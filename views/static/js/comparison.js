/** Before and after in one place: the original, enlarged by the browser, left of a line; the result right of it. */

import { formatSize } from "./format.js";

/**
 * @param {object} what
 * @param {string} what.name of the picture
 * @param {string | null} what.before address of the original; without it the result is shown alone
 * @param {string} what.after address of the result
 * @param {{width: number, height: number}} what.source size of the original in pixels
 * @param {{width: number, height: number}} what.result size of the result in pixels
 * @returns {HTMLElement} a figure
 */
export function comparison({ name, before, after, source, result }) {
  const template = document.getElementById("comparison-template");
  const figure = template.content.firstElementChild.cloneNode(true);
  const images = { before: figure.querySelector(".before"), after: figure.querySelector(".after") };
  const caption = figure.querySelector(".caption");

  figure.style.setProperty("--width", result.width);
  figure.style.setProperty("--height", result.height);
  figure.classList.toggle("is-single", before === null);

  images.after.alt = `${name}, upscaled`;
  images.after.onerror = () => {
    caption.textContent = `The picture (${formatSize(result)}) cannot be shown here. Download it to see it.`;
  };
  images.after.src = after;
  if (before !== null) {
    images.before.alt = `${name}, as it was`;
    images.before.src = before;
    caption.textContent = `Left: the original, ${formatSize(source)}, enlarged by the browser. Right: the result.`;
  } else {
    caption.textContent = "This browser does not have the original. Drop it again to compare.";
  }

  setUpLine(figure, name);
  setUpZoom(figure);
  return figure;
}

/** Keep the clipping of both pictures at the line, wherever it is moved and however the pictures are scrolled. */
function setUpLine(figure, name) {
  const [viewport, pair, split] = [".viewport", ".pair", ".split"].map((part) => figure.querySelector(part));
  split.setAttribute("aria-label", `Line between before and after of ${name}`);

  const draw = () => {
    const line = (split.value / 100) * viewport.offsetWidth;
    figure.style.setProperty("--split", split.value);
    figure.style.setProperty("--edge", `${line + viewport.scrollLeft - pair.offsetLeft}px`);
    split.setAttribute("aria-valuetext", `${Math.round(split.value)} % original`);
  };
  split.addEventListener("input", draw);
  viewport.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(pair);
}

/** The button between the whole picture and one pixel of the result a pixel of the screen. */
function setUpZoom(figure) {
  const [viewport, zoom] = [".viewport", ".zoom"].map((part) => figure.querySelector(part));
  zoom.addEventListener("click", () => {
    const isZoomed = figure.classList.toggle("is-zoomed");
    zoom.setAttribute("aria-pressed", String(isZoomed));
    figure.style.setProperty("--pixel-ratio", devicePixelRatio);
    viewport.tabIndex = isZoomed ? 0 : -1; // the arrow keys scroll it
    viewport.scrollTo(
      (viewport.scrollWidth - viewport.clientWidth) / 2,
      (viewport.scrollHeight - viewport.clientHeight) / 2,
    );
  });
  letMouseDrag(viewport);
}

/** Fingers and wheels scroll by themselves; a mouse has to drag. */
function letMouseDrag(viewport) {
  viewport.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) viewport.setPointerCapture(event.pointerId);
  });
  viewport.addEventListener("pointermove", (event) => {
    if (viewport.hasPointerCapture(event.pointerId)) viewport.scrollBy(-event.movementX, -event.movementY);
  });
}
