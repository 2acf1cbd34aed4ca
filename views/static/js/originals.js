/**
 * The pictures that this browser uploaded, by their tasks (IndexedDB): so that before and after can be compared,
 * and a picture be made again, on a later visit too.
 *
 * A convenience: where a browser forbids it, or is full, the pages work without.
 */

const MOST = 40; // pictures; the oldest go first
const DATABASE = "image-upscaler-originals";
const STORE = "originals";

/** Keep the picture that was uploaded for a task. */
export async function keepOriginal(taskId, file) {
  await inStore("readwrite", (store) => store.put({ taskId, file, keptAt: Date.now() }));
  const oldest = await inStore("readonly", (store) => store.index("keptAt").getAllKeys());
  for (const old of (oldest ?? []).slice(0, -MOST)) await inStore("readwrite", (store) => store.delete(old));
}

/**
 * The picture that was uploaded for a task; null where there is none to be had.
 *
 * @param {string} [address] where the service has it, for a browser that does not
 * @returns {Promise<Blob | null>}
 */
export async function originalOf(taskId, address) {
  const found = await inStore("readonly", (store) => store.get(taskId));
  if (found?.file instanceof Blob) return found.file;
  return address ? fetched(address) : null;
}

async function fetched(address) {
  try {
    const answer = await fetch(address);
    return answer.ok ? await answer.blob() : null; // it may be gone by now
  } catch {
    return null;
  }
}

/** The result of one request to the store; null where there is no such store. */
async function inStore(mode, work) {
  try {
    const database = await opened();
    const transaction = database.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
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
    request.onupgradeneeded = () =>
      request.result.createObjectStore(STORE, { keyPath: "taskId" }).createIndex("keptAt", "keptAt");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
