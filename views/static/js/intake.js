/** The three ways in for a picture: dropped anywhere on the page, chosen, or pasted. */

import { pastedName } from "./names.js";

/**
 * @param {{zone: HTMLElement, input: HTMLInputElement}} where `zone` lights up while files hang over the page
 * @param {(files: File[]) => void} onFiles
 */
export function watchIntake({ zone, input }, onFiles) {
  const take = (files) => files.length && onFiles(files);

  input.addEventListener("change", () => take([...input.files]));

  document.addEventListener("paste", (event) => {
    // A picture that was copied, and not a file, is called image.png in every browser.
    const named = (file) => (file.name === "image.png" ? new File([file], pastedName(), { type: file.type }) : file);
    take([...event.clipboardData.files].map(named));
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
    take([...event.dataTransfer.files]);
  });
}
