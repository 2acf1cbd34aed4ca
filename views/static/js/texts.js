/** The texts that the start page brings for its scripts, and numbers, in the page's language. */

const language = document.documentElement.lang;
const texts = JSON.parse(document.getElementById("upload").dataset.texts);
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(language, { style: "percent" });

/** The text called `key`, with `{places}` filled from `values`. */
export function t(key, values = {}) {
  const text = typeof texts[key] === "string" ? texts[key] : texts[key][plurals.select(values.count)];
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name]);
}

/** A number of bytes, such as "17.2 KiB". */
export function formatBytes(bytes) {
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${numbers.format(bytes / 1024 ** power)} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

export function formatMillions(count) {
  return numbers.format(count / 1_000_000);
}

/** A fraction from 0 to 1. */
export function formatPercent(fraction) {
  return percents.format(fraction);
}

/** The size of anything that has a `width` and a `height`, in pixels. */
export function formatSize({ width, height }) {
  return `${width} × ${height}`;
}
