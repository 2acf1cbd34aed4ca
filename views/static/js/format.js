/** Numbers as people read them. */

const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** A number of bytes, such as "17.2 KiB". */
export function formatBytes(bytes) {
  if (bytes === 1) return "1 byte";
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const digits = power === 0 ? 0 : 1;
  return `${(bytes / 1024 ** power).toFixed(digits)} ${UNITS[power]}`;
}

/** The size of anything that has a `width` and a `height`, in pixels. */
export function formatSize({ width, height }) {
  return `${width} × ${height}`;
}

/** A fraction from 0 to 1 as a percentage. */
export function formatPercent(fraction) {
  return `${Math.floor(fraction * 100)} %`;
}

/** The time between two RFC 3339 moments, such as "2.4 s" or "3 min 20 s". */
export function formatDuration(from, to) {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** A rough time to wait, such as "about 20 s left". */
export function formatLeft(seconds) {
  if (seconds < 60) return `about ${Math.max(5, Math.round(seconds / 5) * 5)} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

/** An RFC 3339 moment in the visitor's own time and manner of writing. */
export function formatMoment(moment) {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
