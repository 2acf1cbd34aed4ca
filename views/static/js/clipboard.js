/** The button that copies the page's address. */

/** @param {HTMLButtonElement} button */
export function copyLink(button) {
  // The clipboard exists on https and localhost only; elsewhere the address bar has to do.
  button.hidden = !navigator.clipboard;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.origin + location.pathname);
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = label), 2000);
  });
}
