/** Before and after in one place: the original, enlarged by the browser, left of a line; the result right of it. */

import { LargePicture } from "./large_picture.js";

/**
 * @param {HTMLElement} figure
 * @param {string | null} before address of the original; without it the result is shown alone
 */
export function setUpComparison(figure, before) {
  const part = (name) => figure.querySelector(name);
  const caption = part(".caption");
  figure.style.setProperty("--width", figure.dataset.width);
  figure.style.setProperty("--height", figure.dataset.height);
  caption.textContent = before ? caption.dataset.with : caption.dataset.without;
  if (before) {
    part(".before").src = before;
    part(".before").hidden = part(".split").hidden = false;
    figure.classList.add("has-before");
  }
  part(".zoom").hidden = false;
  setUpLine(figure);
  if (figure.dataset.light !== undefined) {
    showWhole(part(".after"), figure.dataset.whole);
    setUpZoom(figure, () => {});
  } else {
    const large = new LargePicture(figure);
    setUpZoom(figure, () => large.show());
  }
}

/** Put the result with all its pixels in place of the reduced one, as soon as it is there. */
async function showWhole(image, address) {
  const whole = new Image();
  whole.src = address;
  try {
    await whole.decode();
    image.src = address;
  } catch {
    // Gone, or too much for this browser: the reduced one stays.
  }
}

/** Keep the clipping of both pictures at the line, wherever it is moved and however the pictures are scrolled. */
function setUpLine(figure) {
  const [viewport, pair, split] = [".viewport", ".pair", ".split"].map((part) => figure.querySelector(part));
  const draw = () => {
    const line = (split.value / 100) * viewport.offsetWidth;
    figure.style.setProperty("--split", split.value);
    figure.style.setProperty("--edge", `${line + viewport.scrollLeft - pair.offsetLeft}px`);
    split.setAttribute("aria-valuetext", figure.dataset.value.replace("{percent}", `${Math.round(split.value)} %`));
  };
  split.addEventListener("input", draw);
  viewport.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(pair);
}

/** The buttons between the whole picture and so many pixels of the screen for one of the result. */
function setUpZoom(figure, onZoomed) {
  const viewport = figure.querySelector(".viewport");
  const buttons = [...figure.querySelectorAll("[data-zoom]")];
  const zoom = (chosen, at = { x: 0.5, y: 0.5 }) => {
    const isZoomed = chosen.dataset.zoom !== "fit";
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
    figure.classList.toggle("is-zoomed", isZoomed);
    figure.style.setProperty("--zoom", isZoomed ? chosen.dataset.zoom / devicePixelRatio : 1);
    viewport.tabIndex = isZoomed ? 0 : -1; // the arrow keys scroll it
    viewport.scrollTo(
      viewport.scrollWidth * at.x - viewport.clientWidth / 2,
      viewport.scrollHeight * at.y - viewport.clientHeight / 2,
    );
    if (isZoomed) onZoomed();
  };
  for (const button of buttons) button.addEventListener("click", () => zoom(button, middleOf(viewport)));
  viewport.addEventListener("dblclick", (event) => {
    const box = viewport.getBoundingClientRect();
    const at = {
      x: (viewport.scrollLeft + event.clientX - box.left) / viewport.scrollWidth,
      y: (viewport.scrollTop + event.clientY - box.top) / viewport.scrollHeight,
    };
    zoom(figure.classList.contains("is-zoomed") ? buttons[0] : buttons[1], at);
  });
  letMouseDrag(viewport);
}

function middleOf(viewport) {
  return {
    x: (viewport.scrollLeft + viewport.clientWidth / 2) / viewport.scrollWidth,
    y: (viewport.scrollTop + viewport.clientHeight / 2) / viewport.scrollHeight,
  };
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
