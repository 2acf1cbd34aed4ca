/** "Again, in another way": the same picture with another model or factor, beside the present result. */

import { keepOriginal } from "./originals.js";

/** Let `form` send `original` itself; without that it leads to the start page, which asks for the picture. */
export function makeAgain(form, original) {
  document.getElementById("again-hint").hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const task = await post(form, original);
      await keepOriginal(task.task_id, original);
      location.assign(`/t/${task.task_id}`);
    } catch (error) {
      const trouble = document.getElementById("again-trouble");
      trouble.textContent = error.message;
      trouble.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}

async function post(form, original) {
  const body = new FormData(form);
  body.set("format", form.dataset.format);
  body.set("metadata", form.dataset.metadata);
  body.set("on_conflict", "rename");
  body.set("image", original, original.name ?? form.dataset.name);
  const answer = await fetch("/upscale", { method: "POST", body, headers: { Accept: "application/json" } });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document;
}
