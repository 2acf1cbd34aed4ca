/** The upload page: pictures come in, each gets a card and goes its way. */

import { Card } from "./card.js";
import { copyText } from "./clipboard.js";
import { watchIntake } from "./intake.js";
import { forget, rememberedTasks } from "./memory.js";
import { chosenFields, curlCommand, describeOptions, watchOptions } from "./options.js";
import { connection } from "./patience.js";
import { Picture } from "./picture.js";

const [files, zone, form, list, section, announcer, curl, copy, trouble] = [
  "files",
  "drop-zone",
  "options",
  "pictures",
  "pictures-section",
  "announcer",
  "curl",
  "copy",
  "trouble",
].map((id) => document.getElementById(id));

const MOST_PIXELS_UNASKED = 40_000_000;
// Ends and questions are announced, not every percent.
const RESTING = new Set(["taken", "done", "expired", "cancelled", "failed"]);

/** @type {Map<Picture, Card>} */
const cards = new Map();

watchOptions(form, showOptions);
watchIntake({ zone, input: files }, (pictures) => {
  const added = pictures.map(({ file, name }) => createCard({ file, name }));
  list.prepend(...added.map(({ card }) => card.element));
  added.forEach(({ picture }) => picture.upload());
});
rememberedTasks().forEach((taskId) => {
  const { picture, card } = createCard({ name: "", taskId });
  card.element.hidden = true; // until it is known what it was
  list.append(card.element);
  picture.restore();
});
watchConnection();
copy.addEventListener("click", async () => {
  copy.textContent = (await copyText(curl)) ? "Copied" : "Press Ctrl+C";
  setTimeout(() => (copy.textContent = "Copy"), 2000);
});
window.addEventListener("beforeunload", (event) => {
  if ([...cards.keys()].some(({ phase }) => phase === "queued" || phase === "uploading")) event.preventDefault();
});

function createCard(what) {
  const picture = new Picture(what, {
    listener: show,
    optionsOf: () => chosenFields(form),
    mostBytes: Number(files.dataset.maxBytes),
  });
  const card = new Card(() => removeAndMoveFocus(picture));
  cards.set(picture, card);
  return { picture, card };
}

function show(picture, state) {
  if (state.phase === "unknown") {
    remove(picture);
    return;
  }
  const card = cards.get(picture);
  const isNews = !card.element.hidden; // and not what an earlier visit saw already
  if (picture.taskId !== null) dropOthersOf(picture);
  card.show(picture, state);
  card.element.hidden = false;
  section.hidden = false;
  if (isNews && RESTING.has(state.phase)) announce(picture, card);
  if (isNews && state.phase === "done" && isWorthOpening(state.task)) card.openComparison();
}

/** Whether to show the comparison unasked: one is enough, and huge results may be more than a phone can bear. */
function isWorthOpening({ result }) {
  return result.width * result.height <= MOST_PIXELS_UNASKED && !list.querySelector(".comparison");
}

/** One task has one card: the latest. */
function dropOthersOf(picture) {
  for (const other of cards.keys()) {
    if (other !== picture && other.taskId === picture.taskId) drop(other);
  }
}

/** Tell those who do not see the card. */
function announce(picture, card) {
  announcer.textContent = `${picture.name}: ${card.text}`;
}

function removeAndMoveFocus(picture) {
  const element = cards.get(picture).element;
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  remove(picture);
  const card = [...cards.values()].find((other) => other.element === neighbour);
  if (card) card.focus();
  else files.focus();
}

/** Take a picture off the page and out of memory. */
function remove(picture) {
  drop(picture);
  if (picture.taskId !== null) forget(picture.taskId);
}

function drop(picture) {
  picture.leave();
  cards.get(picture).dispose();
  cards.delete(picture);
  section.hidden = cards.size === 0;
}

function showOptions() {
  document.getElementById("chosen").textContent = describeOptions(form);
  curl.textContent = curlCommand(chosenFields(form));
}

function watchConnection() {
  connection.addEventListener("away", ({ detail: unavailable }) => {
    document.getElementById("trouble-text").textContent = unavailable.detail ?? "";
    trouble.hidden = false;
  });
  connection.addEventListener("back", () => {
    trouble.hidden = true;
  });
}
