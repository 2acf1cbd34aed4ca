/** Other names for a picture, where its own cannot be used. The rules are those of views/picture_names.py. */

const MOST_BYTES = 255; // in UTF-8
const NOT_ALLOWED = /[^\p{L}\p{M}\p{N} ._\-+,;=@#&%!~'()[\]{}$^]/gu;
const SIGNATURE_BYTES = 3;

/**
 * The file's name, mended until the service can take it: allowed characters, a bearable length, and an extension
 * that tells what the file is. The same name comes back where nothing had to be mended.
 */
export async function mendedName(file) {
  const { name } = file;
  const { stem, suffix } = split(name.normalize("NFC").replace(NOT_ALLOWED, "_"));
  const base = stem.replace(/^[ .]+|[ .]+$/g, "") || "picture";
  const fitting = await suffixes(file);
  return shortened(base, fitting.length && !fitting.includes(suffix.toLowerCase()) ? fitting[0] : suffix);
}

/** A name for a picture from the clipboard, where all are called alike. */
export function pastedName(moment = new Date()) {
  const pad = (number) => String(number).padStart(2, "0");
  const day = [moment.getFullYear(), pad(moment.getMonth() + 1), pad(moment.getDate())].join("-");
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(pad).join(".");
  return `pasted ${day} ${time}.png`;
}

function split(name) {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? { stem: name.slice(0, dot), suffix: name.slice(dot) } : { stem: name, suffix: "" };
}

function shortened(base, ending) {
  const encoder = new TextEncoder();
  const characters = [...base];
  while (characters.length > 1 && encoder.encode(characters.join("") + ending).length > MOST_BYTES) characters.pop();
  return characters.join("") + ending;
}

/** The extensions that fit the file's content, the usual one first; none for what is neither PNG nor JPEG. */
async function suffixes(file) {
  const start = new Uint8Array(await file.slice(0, SIGNATURE_BYTES).arrayBuffer());
  const begins = (...bytes) => bytes.every((byte, index) => start[index] === byte);
  if (begins(0x89, 0x50, 0x4e)) return [".png"];
  if (begins(0xff, 0xd8, 0xff)) return [".jpg", ".jpeg"];
  return [];
}
