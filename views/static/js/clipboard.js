/** Copying a text that stands on the page. */

/** Copy the text of `element`; whether it worked. */
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    return copySelected(element);
  }
}

/** The old way: the new one exists on https and localhost only, and this service is often neither. */
function copySelected(element) {
  const selection = getSelection();
  selection.selectAllChildren(element);
  const copied = document.execCommand("copy");
  if (copied) selection.removeAllRanges();
  return copied;
}
