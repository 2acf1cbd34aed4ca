/** The three ways in for a picture: dropped anywhere on the page, chosen, or pasted. */

import { pastedName } from "./names.js";

/**
 * @param {{zone: HTMLElement, input: HTMLInputElement}} where `zone` lights up while files hang over the page
 * @param {(pictures: {file: File, name: string}[]) => void} onPictures
 */
export function watchIntake({ zone, input }, onPictures) {
  const take = (files, nameOf = (file) => file.name) => {
    if (files.length) onPictures([...files].map((file) => ({ file, name: nameOf(file) })));
  };

  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // so that the same file can be chosen again
  });

  document.addEventListener("paste", (event) => {
    // A picture that was copied, and not a file, is called image.png in every browser.
    take(event.clipboardData.files, (file) => (file.name === "image.png" ? pastedName() : file.name));
  });

  window.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault(); // else the browser opens the file in place of this page
    zone.classList.add("is-over");
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) zone.classList.remove("is-over");
  });
  window.addEventListener("drop", (event) => {
    zone.classList.remove("is-over");
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}
