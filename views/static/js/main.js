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
  if (state.phase === "unknown") return remove(picture);
  const card = cards.get(picture);
  const wasThere = card.element.dataset.phase;
  if (state.task && state.phase !== "taken") removeOthersOf(picture);
  card.show(picture, state);
  card.element.hidden = false;
  section.hidden = false;
  if (wasThere) announce(picture, card, state);
  if (wasThere && state.phase === "done" && !list.querySelector(".comparison")) card.openComparison();
  return undefined;
}

/** One task has one card: the latest. */
function removeOthersOf(picture) {
  for (const other of cards.keys()) {
    if (other !== picture && other.taskId === picture.taskId) drop(other);
  }
}

/** Tell of ends and questions, not of every percent. */
function announce(picture, card, { phase }) {
  if (phase === "done" || phase === "failed" || phase === "taken") {
    const notice = card.element.querySelector(".notice:not([hidden]) p");
    announcer.textContent = `${picture.name}: ${card.element.querySelector(".card-status").textContent}. ${notice?.textContent ?? ""}`;
  }
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
