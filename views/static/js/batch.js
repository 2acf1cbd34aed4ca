/** A batch that is under way: kept as it is on the server. */

import { followEvents } from "./live.js";

const { events } = document.querySelector("[data-page]").dataset;
if (events) followEvents(events);
