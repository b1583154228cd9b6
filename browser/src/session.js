// A session is a browser tab: an id at random in sessionStorage, which ends with the tab and which no other site sees.

const KEY = "onejob.session";

/** So many bytes at random, in hexadecimal. */
export const random = (bytes) =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The tab's id; where the browser keeps nothing, the page's. */
export const session = () => {
  let id;
  try {
    id = sessionStorage.getItem(KEY);
    if (!/^[\da-f]{32}$/.test(id)) sessionStorage.setItem(KEY, (id = random(16)));
  } catch {
    id = random(16);
  }
  return id;
};

export const forget = () => sessionStorage.removeItem(KEY);

/** Is the session one of the share `rate`? It follows from the id, so that all pages of a tab agree. */
export const isSampled = (id, rate) => parseInt(id.slice(0, 8), 16) < rate * 2 ** 32;
