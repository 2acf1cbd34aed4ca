/** Chosen pictures whose names exist already: both are shown, and the visitor says what is to become of them. */

import { originalOf } from "./originals.js";

const HOLDS_NAME = new Set(["PENDING", "STARTED", "SUCCESS"]);

/**
 * The tasks that hold the names of `files` with another picture, or made in another way.
 *
 * Where the service does not answer there are none: it decides again when the pictures come.
 */
export async function findConflicts(files, fields) {
  const tasks = await Promise.all(files.map((file) => holderOf(file.name).then((task) => ({ file, task }))));
  const others = await Promise.all(
    tasks.map(async ({ file, task }) => task && !(await isTheSame(file, fields, task)) && { file, task }),
  );
  return others.filter(Boolean);
}

/**
 * Show the conflicts and wait for the choice.
 *
 * @param {{section: HTMLElement, list: HTMLElement, template: HTMLTemplateElement, heading: HTMLElement}} parts
 * @param {(name: string) => string} previewOf address of a chosen picture
 * @returns {Promise<"rename" | "replace" | "return" | "">} what goes into `on_conflict`; "" to do nothing
 */
export async function askWhatToDo(parts, conflicts, previewOf) {
  parts.list.replaceChildren(...(await Promise.all(conflicts.map((conflict) => pair(parts, conflict, previewOf)))));
  parts.section.hidden = false;
  parts.heading.focus();
  const choice = await new Promise((resolve) => {
    for (const button of parts.section.querySelectorAll("[data-choice]")) {
      button.onclick = () => resolve(button.dataset.choice);
    }
  });
  parts.section.hidden = true;
  return choice;
}

async function holderOf(name) {
  try {
    const answer = await fetch(`/tasks?${new URLSearchParams({ name: name.normalize("NFC"), limit: 20 })}`, {
      headers: { Accept: "application/json" },
    });
    const { tasks = [] } = answer.ok ? await answer.json() : {};
    return tasks.find(({ status, links }) => HOLDS_NAME.has(status) && (status !== "SUCCESS" || links.result));
  } catch {
    return undefined;
  }
}

async function isTheSame(file, fields, { source, request }) {
  if (source.bytes !== file.size) return false;
  const wishes = Object.entries(request).map(([name, value]) => [value ?? "", fields[name] ?? ""]);
  if (!wishes.every(([had, has]) => String(had) === has)) return false;
  if (!window.isSecureContext) return false; // no SHA-256 on plain http: better ask once too often
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return source.sha256 === [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function pair({ template }, { file, task }, previewOf) {
  const element = template.content.firstElementChild.cloneNode(true);
  const earlier = element.querySelector(".earlier");
  const original = task.links.thumbnail ? null : await originalOf(task.task_id, `/t/${task.task_id}/original`);
  element.querySelector(".chosen-name").textContent = file.name;
  element.querySelector(".now").src = previewOf(file.name);
  if (task.links.thumbnail) earlier.src = task.links.thumbnail;
  else if (original) earlier.src = URL.createObjectURL(original);
  if (earlier.src) await earlier.decode().then(() => (earlier.hidden = false), () => {});
  return element;
}
