/** The list of tasks, kept as it is on the server. */

import { followNotifications } from "./live.js";
import { showLocalTimes } from "./moments.js";

showLocalTimes();
followNotifications();
