// A rage click: three clicks within a second at one place, which is what people do where nothing happens.

import { guarded } from "./guard.js";
import { selector } from "./privacy.js";

const CLICKS = 3;
const WITHIN_MS = 1000;
const NEAR_PX = 30;
const TYPED_INTO = /^(input|textarea|select|option)$/; // clicked often to step a number or to select text

export const watchClicks = (report) => {
  let streak = [];
  const look = guarded(({ isTrusted, timeStamp, clientX, clientY, target }) => {
    if (!isTrusted || TYPED_INTO.test(target.localName) || String(getSelection())) return;
    streak = streak.filter(
      ([at, x, y]) => timeStamp - at < WITHIN_MS && Math.hypot(clientX - x, clientY - y) < NEAR_PX,
    );
    streak.push([timeStamp, clientX, clientY]);
    if (streak.length == CLICKS) report("onejob.rage_click", { "onejob.target": selector(target) });
  });
  addEventListener("click", look, true);
};
