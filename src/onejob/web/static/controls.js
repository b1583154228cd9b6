// Buttons and fields: theme, filters, copying.

/** Light or dark at once, remembered in the cookie from which the server writes the page. */
export function switchTheme() {
  const form = document.querySelector("[data-theme-switch]");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    toggleTheme();
  });
}

export function toggleTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=strict`;
  document.querySelector("[data-theme-switch] button").setAttribute("aria-label", `Theme: ${next}. Switch`);
}

/** A choice in a filter is the whole wish: no second click. Empty fields stay out of the address. */
export function submitOnChoice() {
  for (const select of document.querySelectorAll("select[data-auto]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
    select.form.addEventListener("submit", () => {
      for (const field of select.form.elements) field.disabled = field.name && !field.value;
    });
  }
  addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form.filters :disabled")) field.disabled = false;
  });
}

/** A menu closes when something else is wished for; without script only its own button closes it. */
export function closeMenus() {
  const opened = () => [...document.querySelectorAll("details[data-menu][open]")];
  const closeOthers = (event) => {
    for (const menu of opened()) menu.open = menu.contains(event.target);
  };
  addEventListener("click", closeOthers);
  addEventListener("focusin", closeOthers);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of opened()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

export function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").innerText);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
}

/** What has to be scrolled on a narrow screen must be reachable by keyboard; where nothing scrolls, no extra stop. */
export function focusScrollers() {
  for (const section of document.querySelectorAll("section")) {
    section.toggleAttribute("tabindex", section.scrollWidth > section.clientWidth + 1);
    if (section.hasAttribute("tabindex")) section.tabIndex = 0;
  }
}

/** The secret of a one-time link stands after the #, so that it is in no server's log: out of the address, into the field. */
export function takeCodeFromAddress() {
  const field = document.querySelector("[data-from-hash]");
  if (!field || location.hash.length < 2) return;
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
