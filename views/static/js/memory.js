/**
 * What this browser remembers between visits: the ids of the last tasks (localStorage), and the pictures that
 * were uploaded for them (IndexedDB), so that before and after can still be compared.
 *
 * Both are a convenience. Where a browser forbids them, or is full, the page works without.
 */

const KEY = "image-upscaler.tasks";
const MOST_TASKS = 20;
const DATABASE = "image-upscaler";
const ORIGINALS = "originals";

/** The remembered task ids, the latest first. */
export function rememberedTasks() {
  try {
    const ids = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

/** Remember a task, and the picture it was made of where that is at hand. The oldest tasks are forgotten for it. */
export async function remember(id, file) {
  const ids = [id, ...rememberedTasks().filter((other) => other !== id)];
  write(ids.slice(0, MOST_TASKS));
  await Promise.all(ids.slice(MOST_TASKS).map((old) => withOriginals("readwrite", (store) => store.delete(old))));
  if (file) await withOriginals("readwrite", (store) => store.put(file, id));
}

export async function forget(id) {
  write(rememberedTasks().filter((other) => other !== id));
  await withOriginals("readwrite", (store) => store.delete(id));
}

/** The picture that was uploaded for a task, as a Blob; null where this browser does not have it. */
export async function originalOf(id) {
  const found = await withOriginals("readonly", (store) => store.get(id));
  return found instanceof Blob ? found : null;
}

function write(ids) {
  try {
    localStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // Forbidden or full: this visit is not remembered.
  }
}

/** The result of one request to the store of originals; null where there is no such store. */
async function withOriginals(mode, work) {
  try {
    const database = await opened();
    const transaction = database.transaction(ORIGINALS, mode);
    const request = work(transaction.objectStore(ORIGINALS));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    }).finally(() => database.close());
  } catch {
    return null;
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(ORIGINALS);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
