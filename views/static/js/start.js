/** The start page: pictures come in, are looked at, and go off with the options that are chosen. */

import { Chosen } from "./chosen.js";
import { askWhatToDo, findConflicts } from "./conflicts.js";
import { watchIntake } from "./intake.js";
import { keepOriginal } from "./originals.js";
import { formatPercent, t } from "./texts.js";
import { Refused, upload } from "./upload.js";

const part = (id) => document.getElementById(id);
const form = part("upload");
const AT_ONCE = "image-upscaler.at-once";
const conflictParts = {
  section: part("conflicts"),
  list: part("conflict-pairs"),
  heading: part("conflicts-title"),
  template: part("conflict-template"),
};
const chosen = new Chosen(
  { list: part("chosen"), section: part("chosen-section"), template: part("chosen-template"), input: part("image") },
  {
    maxBytes: Number(form.dataset.maxBytes),
    maxInputPixels: Number(form.dataset.maxInputPixels),
    maxOutputPixels: Number(form.dataset.maxOutputPixels),
  },
  () => Number(form.elements.scale.value || chosenModel().dataset.scale),
  () => {
    showWhatCanBeSent();
    showTrouble("", chosen.fault);
  },
);
const sendLabel = part("send").textContent;
let sending = null; // an AbortController from the decision to send until the page is left
let isLeaving = false;

form.classList.add("has-script");
part("drop-title").hidden = part("at-once-field").hidden = false;
rememberChoice(part("at-once"), AT_ONCE);
form.addEventListener("input", ({ target }) => {
  if (target.name !== "image") adaptToOptions();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
part("stop").addEventListener("click", () => sending?.abort());
window.addEventListener("beforeunload", (event) => sending && !isLeaving && event.preventDefault());
watchIntake({ zone: part("drop-zone"), input: part("image") }, async (files) => {
  if (sending) return;
  await chosen.add(files);
  if (part("at-once").checked) send();
});
window.addEventListener("pageshow", () => {
  stopSending(); // the page may have been left for another, and come back to
  const early = chosen.files.length ? [] : [...part("image").files]; // chosen before this script was there
  adaptToOptions(); // the browser may have restored what was chosen
  if (early.length) chosen.add(early);
});

/** Keep whether a box is checked for the next visit, where the browser lets us. */
function rememberChoice(box, key) {
  try {
    box.checked = localStorage.getItem(key) !== "no";
    box.addEventListener("change", () => localStorage.setItem(key, box.checked ? "yes" : "no"));
  } catch {
    // Storage is forbidden: each visit begins with the default.
  }
}

function chosenModel() {
  return form.querySelector("[name=model]:checked") ?? form.querySelector("[name=model]");
}

/** The denoise control belongs to some models only, and what the pictures become depends on the factor. */
function adaptToOptions() {
  const { denoise } = form.elements;
  denoise.disabled = part("denoise-field").hidden = chosenModel().dataset.denoise === undefined;
  part("denoise-value").value = denoise.value;
  form.elements.scale.options[0].text = t("scale_own", { scale: chosenModel().dataset.scale });
  chosen.show();
}

function showWhatCanBeSent() {
  const { length } = chosen.files;
  part("send").textContent = length > 1 ? t("send", { count: length }) : sendLabel;
  part("send").disabled = sending !== null || !chosen.canBeSent;
  part("chosen").inert = part("options").inert = sending !== null; // what is under way stays as it is
}

async function send() {
  if (sending || !chosen.files.length || !chosen.canBeSent) return;
  sending = new AbortController();
  showWhatCanBeSent();
  try {
    const onConflict = await settleConflicts();
    if (onConflict !== "") await sendAndGo(onConflict);
  } catch (error) {
    if (!sending.signal.aborted) tellOf(error);
  } finally {
    if (!isLeaving) stopSending();
  }
}

function stopSending() {
  sending = null;
  isLeaving = false;
  part("sending").hidden = true;
  showWhatCanBeSent();
}

/** What `on_conflict` is to be; "" if nothing is to be sent. */
async function settleConflicts() {
  const fields = Object.fromEntries(new FormData(form));
  if (fields.on_conflict !== "return") return fields.on_conflict;
  const conflicts = await findConflicts(chosen.files, fields);
  if (!conflicts.length) return "return";
  const choice = await askWhatToDo(conflictParts, conflicts, (name) => chosen.previewOf(name));
  if (choice === "return" && chosen.files.length === 1) {
    go(`/t/${conflicts[0].task.task_id}`);
    return "";
  }
  return choice;
}

async function sendAndGo(onConflict) {
  const { files } = chosen;
  const body = new FormData(form);
  body.set("on_conflict", onConflict);
  part("sending").hidden = false;
  showProgress(0);
  const answer = await upload(body, { signal: sending.signal, onProgress: showProgress, onTrouble: tellAndTry });
  const tasks = answer.tasks ?? [answer];
  // In the order of the files.
  for (const [index, task] of tasks.entries()) {
    const isOfAnotherPicture = task.duplicate && !task.same_image;
    if (task.task_id && !isOfAnotherPicture) await keepOriginal(task.task_id, files[index]);
  }
  go(answer.batch_id ? `/b/${answer.batch_id}` : `/t/${answer.task_id}${alreadyOf(answer)}`);
}

function alreadyOf({ duplicate, same_image: sameImage, same_request: sameRequest }) {
  if (!duplicate) return "";
  return sameImage && sameRequest ? "?already=same" : "?already=other";
}

function go(address) {
  isLeaving = true;
  location.assign(address);
}

function showProgress(fraction) {
  showTrouble("");
  part("sent").value = fraction;
  part("sent-text").textContent = fraction < 1 ? t("sending", { percent: formatPercent(fraction) }) : t("sent");
}

function tellAndTry(status, problem, seconds) {
  const what = status ? t("trying_in", { seconds }) : t("trying");
  showTrouble(problem?.title ?? t("away"), `${problem?.detail ?? ""} ${what}`, status === 429);
}

function tellOf(error) {
  if (!(error instanceof Refused)) throw error;
  const { status, problem } = error;
  const reasons = problem?.files?.map(({ name, detail }) => `${name}: ${detail}`).join(" ");
  showTrouble(problem?.title ?? "", reasons ?? problem?.detail ?? t("unexpected", { status }));
}

function showTrouble(title, text = "", withLink = false) {
  part("trouble").hidden = !(title || text);
  part("trouble-title").textContent = title && `${title}.`;
  part("trouble-text").textContent = text;
  part("trouble-link").hidden = !withLink;
}
