/** A page that stays as it is on the server: its `data-live` parts are fetched anew whenever something happened. */

import { showLocalTimes } from "./moments.js";

const SHORTEST_PAUSE = 700; // ms between two looks
const POLL = 4000; // ms between two looks while nobody tells of events
const OWN_ATTRIBUTE = "data-own"; // of an element that a script looks after

const page = document.querySelector("[data-page]");
let due = null;
let lastLook = Promise.resolve();

/** Follow a stream of server-sent events; without it, look every few seconds, for as long as the page names it. */
export function followEvents(address, onRefresh) {
  const events = new EventSource(address);
  pollWhile(() => page.dataset.events && events.readyState !== EventSource.OPEN, onRefresh);
  for (const kind of ["state", "progress", "end"]) events.addEventListener(kind, () => refreshSoon(onRefresh));
  events.addEventListener("end", () => events.close());
}

/** Follow the events of all of the visitor's tasks; without them, look every few seconds. */
export function followNotifications(onRefresh) {
  const address = new URL("/ws/notifications", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  let socket = null;
  const connect = () => {
    socket = new WebSocket(address);
    socket.addEventListener("message", () => refreshSoon(onRefresh));
    socket.addEventListener("close", () => setTimeout(connect, POLL));
  };
  connect();
  pollWhile(() => socket.readyState !== WebSocket.OPEN, onRefresh);
}

function pollWhile(isNeeded, onRefresh) {
  setInterval(() => isNeeded() && refreshSoon(onRefresh), POLL);
}

/** Look once, soon, however many events come until then. */
function refreshSoon(onRefresh) {
  due ??= setTimeout(() => {
    due = null; // what happens from now on is worth another look
    lastLook = lastLook.then(() => refresh(onRefresh));
  }, SHORTEST_PAUSE);
}

async function refresh(onRefresh) {
  const fresh = await fetchedPage();
  if (!fresh) return; // the server is away; the next event or look tells
  if (fresh.querySelector("[data-page]")?.dataset.page !== page.dataset.page) {
    await onRefresh?.(true);
    location.reload(); // another kind of page, with scripts of its own
    return;
  }
  document.title = fresh.title;
  const parts = [...fresh.querySelectorAll("[data-live]")];
  document.querySelectorAll("[data-live]").forEach((part, index) => morph(part, parts[index]));
  showLocalTimes();
  await onRefresh?.(false);
}

async function fetchedPage() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    return answer.status < 500 && new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

/** Make `old` like `fresh` and leave alone what is alike already, so that focus and transitions survive. */
function morph(old, fresh) {
  if (old.isEqualNode(fresh) || (old instanceof Element && old.hasAttribute(OWN_ATTRIBUTE))) return;
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
  } else if (old instanceof Element) {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
    const [had, has] = [[...old.childNodes], [...fresh.childNodes]];
    has.forEach((child, index) => (index < had.length ? morph(had[index], child) : old.append(child)));
    had.slice(has.length).forEach((child) => child.remove());
  } else {
    old.nodeValue = fresh.nodeValue;
  }
}
