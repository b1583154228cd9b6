// The keyboard: / search, j k rows, Enter opens, g d deployments, g e errors, g c customers, t theme, ? lists them all.
import { toggleTheme } from "./controls.js";

let before = "";

export function listenToKeys() {
  const dialog = document.querySelector("[data-keys-dialog]");
  const button = document.querySelector("[data-keys]");
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const wish = { "/": search, j: () => step(1), k: () => step(-1), "?": () => dialog.showModal(), t: toggleTheme }[event.key];
    const link = before === "g" && document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) link.click();
    else if (wish && !dialog.open) {
      event.preventDefault();
      wish();
    }
    before = event.key;
  });
}

function isTyping(target) {
  return target.matches?.("input, textarea, select, [contenteditable]");
}

function search() {
  const field = document.querySelector("[data-search]");
  field?.focus();
  field?.select();
}

/** The focus itself is the cursor, so Enter and the screen reader know where it is. */
function step(by) {
  const rows = [...document.querySelectorAll("tr[data-row] a.row")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next].focus({ focusVisible: true });
  rows[next].closest("tr").scrollIntoView({ block: "nearest" });
}
