/** A task that waits or runs: its picture becomes sharp as it is made, and the visitor is told of its end. */

import { followEvents } from "./live.js";
import { originalOf } from "./originals.js";

const section = document.querySelector("[data-task]");
const figure = document.getElementById("emerging");
const notify = document.getElementById("notify");

showPicture();
offerNotification();
followEvents(section.dataset.events, async (isOver) => {
  if (isOver) tellOfTheEnd();
  showProgress();
});

async function showPicture() {
  const original = await originalOf(section.dataset.task, section.dataset.original);
  if (!original) return;
  const address = URL.createObjectURL(original);
  for (const image of figure.querySelectorAll("img")) image.src = address;
  const [picture] = figure.querySelectorAll("img");
  await picture.decode();
  figure.style.setProperty("--width", picture.naturalWidth);
  figure.style.setProperty("--height", picture.naturalHeight);
  figure.hidden = false;
  showProgress();
}

/** The engine makes a picture in bands from its top: so far it is sharp. */
function showProgress() {
  const bar = section.querySelector("progress");
  figure.style.setProperty("--done", bar.hasAttribute("value") ? bar.value : 0);
}

/** Browsers have notifications on https and localhost only. */
function offerNotification() {
  const isPossible = window.isSecureContext && "Notification" in window;
  notify.hidden = !isPossible || Notification.permission !== "default";
  notify.addEventListener("click", async () => {
    await Notification.requestPermission();
    notify.hidden = true;
  });
}

function tellOfTheEnd() {
  if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
  const notification = new Notification(notify.dataset.done, { tag: section.dataset.task });
  notification.addEventListener("click", () => window.focus());
}
