/** The page of a finished picture. */

import { makeAgain } from "./again.js";
import { copyLink } from "./clipboard.js";
import { setUpComparison } from "./comparison.js";
import { showLocalTimes } from "./moments.js";
import { originalOf } from "./originals.js";

const article = document.querySelector("[data-task]");
const original = await originalOf(article.dataset.task, article.dataset.original);

showLocalTimes();
setUpComparison(document.getElementById("comparison"), original && URL.createObjectURL(original));
copyLink(document.getElementById("copy"));
if (original) makeAgain(document.getElementById("again"), original);
