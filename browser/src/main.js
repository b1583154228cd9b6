// onejob's script for browsers: see docs/browser.md for what it sends, and what it never does.

import { watchClicks } from "./clicks.js";
import { watchErrors } from "./errors.js";
import { guarded } from "./guard.js";
import { isObjecting } from "./privacy.js";
import { watchRoutes } from "./routes.js";
import { atTheEnd, isSending, report, sendFor, watchTheEnd } from "./send.js";
import { forget, isSampled, session } from "./session.js";
import { settings } from "./settings.js";
import { watchRequests } from "./trace.js";
import { watchVitals } from "./vitals.js";

let isWatching = false;

// Nothing is looked at, let alone kept, before this.
const start = guarded(() => {
  if (document.prerendering) return addEventListener("prerenderingchange", start, { once: true });
  if (!settings.service || isObjecting() || isSending()) return;
  const id = session();
  if (!isSampled(id, settings.sample)) return;
  sendFor(id);
  if (isWatching) return;
  isWatching = true;
  watchTheEnd();
  for (const watch of [watchErrors, watchVitals, watchClicks, watchRoutes, watchRequests]) guarded(watch)(report, atTheEnd);
});

guarded(() => {
  if (window.onejob) return; // a second tag
  window.onejob = {
    /** The visitor agreed; with `false`, agrees no more. */
    consent: guarded((isGiven = true) => {
      if (isGiven) return start();
      sendFor();
      forget();
    }),
  };
  if (!settings.service) console.warn("onejob: the script tag has no data-service; nothing is sent.");
  else if (!settings.needsConsent) start();
})();
