// Everything here is an extra: pages are complete without it, but for live updates.
import { listenToKeys } from "./keys.js";
import { keepLive } from "./live.js";
import { offerCopies, submitOnChoice, switchTheme } from "./controls.js";

document.documentElement.classList.add("scripted");
switchTheme();
submitOnChoice();
offerCopies();
listenToKeys();
keepLive(offerCopies);
