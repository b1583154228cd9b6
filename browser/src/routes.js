// Where the visitor is: the page that was loaded, then each route of a single-page app. A change of query or fragment alone
// is none.

import { guarded } from "./guard.js";
import { here } from "./privacy.js";

const TYPES = { pushState: "push", replaceState: "replace", popstate: "traverse" };

export const watchRoutes = (report) => {
  let path = location.pathname;
  const tell = (type, isSame) =>
    report("browser.navigation", {
      "url.template": here(),
      "browser.navigation.type": type,
      "browser.navigation.same_document": isSame,
    });
  const look = guarded((how) => {
    if (location.pathname == path) return;
    path = location.pathname;
    tell(TYPES[how], true);
  });
  for (const name of ["pushState", "replaceState"]) {
    const original = history[name];
    history[name] = function (...given) {
      const result = original.apply(this, given);
      look(name);
      return result;
    };
  }
  addEventListener("popstate", () => look("popstate"));
  const [loaded] = performance.getEntriesByType("navigation");
  tell(loaded && loaded.type, false);
};
