/** What is said of a picture in each of its phases (see picture.js). */

import { formatBytes, formatDuration, formatLeft, formatMoment, formatPercent, formatSize } from "./format.js";

const WORTH_TELLING = 3; // s

/**
 * @returns {{
 *   status: string,
 *   facts: string,
 *   progress: number | "unmeasured" | null,
 *   notice: {tone: "plain" | "caution" | "bad", title: string, text: string} | null,
 * }} progress from 0 to 1; null where nothing goes on
 */
export function describe(picture, state) {
  return { facts: "", progress: null, notice: null, ...PHASES[state.phase](state, picture) };
}

const PHASES = {
  queued: (state, { file }) => ({
    status: "Waiting to be uploaded",
    facts: formatBytes(file.size),
    progress: "unmeasured",
  }),
  uploading: ({ progress }, { file }) => ({
    status: `Uploading, ${formatPercent(progress)}`,
    facts: formatBytes(file.size),
    progress,
  }),
  taken: ({ task }, { file }) => ({
    status: "Not uploaded yet",
    facts: formatBytes(file.size),
    notice: {
      tone: "caution",
      title: `The name ${task.name} belongs to another picture.`,
      text: "Each name can be used once here. Upload yours under another one, or see the picture that has it.",
    },
  }),
  pending: ({ task, secondsLeft }) => ({
    status: [queuePlace(task), ...timeLeft(secondsLeft)].join(", "),
    facts: imageFacts(task.source),
    progress: "unmeasured",
  }),
  started: ({ task, secondsLeft }) => ({
    status: [`Being made, ${formatPercent(task.progress)}`, ...timeLeft(secondsLeft)].join(", "),
    facts: imageFacts(task.source),
    progress: task.progress,
  }),
  done: ({ task, duplicate }) => ({
    status:
      task.started_at === task.finished_at
        ? "Done at once"
        : `Done in ${formatDuration(task.started_at, task.finished_at)}`,
    facts: `${formatSize(task.source)} → ${imageFacts(task.result)}`,
    notice: duplicate && { tone: "plain", ...duplicateWords(duplicate) },
  }),
  expired: ({ task }) => ({
    status: "No longer kept",
    facts: imageFacts(task.source),
    notice: {
      tone: "caution",
      title: "The result has been deleted.",
      text: "Results are kept for a limited time. Upload the picture again to make it anew.",
    },
  }),
  cancelled: (state, { file }) => ({
    status: "Cancelled",
    facts: file ? formatBytes(file.size) : "",
    notice: { tone: "caution", title: "The task was cancelled.", text: "Nothing was made of the picture." },
  }),
  failed: ({ problem }, { file }) => ({
    status: "Failed",
    facts: file ? formatBytes(file.size) : "",
    notice: { tone: "bad", title: `${problem.title}.`, text: problem.detail },
  }),
};

/** Size, format and weight of a source or a result. */
function imageFacts(image) {
  return `${formatSize(image)} · ${image.format} · ${formatBytes(image.bytes)}`;
}

function queuePlace({ position }) {
  return position > 1 ? `Number ${position} in the queue` : "Next in the queue";
}

/** Nothing where it is a matter of moments. */
function timeLeft(seconds) {
  return seconds !== null && seconds >= WORTH_TELLING ? [formatLeft(seconds)] : [];
}

/** Why an upload was answered with a task that had been there before. */
function duplicateWords({ status, same_request: sameRequest, finished_at: finishedAt, request }) {
  const when = status === "SUCCESS" ? `on ${formatMoment(finishedAt)}` : "a moment ago";
  if (sameRequest) {
    return { title: "This picture had been uploaded before.", text: `It was made ${when}, and here is that result.` };
  }
  const options = `${request.model}${request.scale ? `, ${request.scale}×` : ""}, ${request.format} format`;
  return {
    title: "This picture had been uploaded before, with other options.",
    text: `Here is the result made ${when} (${options}). For yours, give it another name or replace that result.`,
  };
}
