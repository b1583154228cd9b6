// Live updates: the server says what changed, the page fetches itself and takes over what differs, in place.
// Rows that are new wait behind "3 new" so that nothing jumps under the reader.

const QUIET_MS = 300;
const LEAST_MS = 900;
let timer = 0;
let last = 0;
let changedWhileHidden = false;

export function keepLive(afterSwap) {
  setInterval(tellAges, 15000);
  const watch = document.body.dataset.watch;
  if (watch === undefined) return;
  const state = document.querySelector("[data-live-state]");
  const source = new EventSource(watch);
  const show = (isLive) => {
    state.toggleAttribute("data-off", !isLive);
    state.textContent = isLive ? "live" : "offline";
  };
  let wasOpen = false;
  source.addEventListener("open", () => {
    show(true);
    if (wasOpen) schedule(afterSwap); // what happened while the line was down
    wasOpen = true;
  });
  source.addEventListener("error", () => show(false));
  source.addEventListener("deployment", () => schedule(afterSwap));
  source.addEventListener("telemetry", (event) => countSpans(JSON.parse(event.data), afterSwap));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && changedWhileHidden) schedule(afterSwap);
  });
  addEventListener("pagehide", () => source.close());
}

function schedule(afterSwap) {
  if (document.hidden) {
    changedWhileHidden = true;
    return;
  }
  if (timer) return;
  timer = setTimeout(async () => {
    timer = 0;
    last = Date.now();
    changedWhileHidden = false;
    await refresh();
    afterSwap();
  }, Math.max(QUIET_MS, last + LEAST_MS - Date.now()));
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (document.querySelector("[data-until-deployment]") && !fresh.querySelector("[data-until-deployment]")) {
    location.reload(); // the first deployment: this is another page now
    return;
  }
  document.title = fresh.title;
  swapParts(fresh);
  swapRows(fresh);
}

/** A part that came into being (evidence, an explanation) has no place yet: then the whole of main is taken. */
function swapParts(fresh) {
  const names = (root) => [...root.querySelectorAll("[data-live]")].map((part) => part.dataset.live).join();
  if (names(fresh) !== names(document)) {
    swap(document.querySelector("main"), fresh.querySelector("main"));
    return;
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    swap(part, fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`));
  }
}

function swap(old, fresh) {
  if (!fresh || old.isEqualNode(fresh)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...old.querySelectorAll(focused.localName)].indexOf(focused);
  const opened = [...old.querySelectorAll("details")].map((one) => one.open);
  old.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const name of fresh.getAttributeNames()) old.setAttribute(name, fresh.getAttribute(name));
  old.querySelectorAll("details").forEach((one, index) => { one.open = opened[index] ?? one.open; });
  if (focused) old.querySelectorAll(focused.localName)[place]?.focus({ preventScroll: true });
}

function swapRows(fresh) {
  const table = document.querySelector("table[data-rows]");
  const now = fresh.querySelector("table[data-rows]");
  if (!table || !now) return;
  let waiting = 0;
  for (const row of now.querySelectorAll("tr[id]")) {
    const mine = document.getElementById(row.id);
    if (mine) swapRow(mine, row);
    else waiting += 1;
  }
  const banner = document.querySelector("[data-new]");
  if (new URLSearchParams(location.search).has("cursor")) return;
  banner.hidden = waiting === 0;
  banner.textContent = `${waiting} new ${waiting === 1 ? "deployment" : "deployments"}`;
}

/** Cell by cell, and the sparkline only when its verdict changed: drawing it anew would blink. */
function swapRow(mine, row) {
  [...mine.cells].forEach((cell, index) => {
    const other = row.cells[index];
    if (!cell.isEqualNode(other)) swap(cell, other);
  });
}

function countSpans(told, afterSwap) {
  const place = document.querySelector('[data-count="spans"]');
  if (!place) return;
  const isFirst = place.textContent === "0" && told.spans > 0;
  place.textContent = told.spans.toLocaleString("en");
  if (isFirst) schedule(afterSwap);
}

function tellAges() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const age = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const unit = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => age >= size);
    if (unit && age >= 5) time.textContent = `${Math.floor(age / unit[0])} ${unit[1]} ago`;
  }
}
