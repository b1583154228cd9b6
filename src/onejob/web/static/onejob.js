// Everything here is an extra: pages are complete without it, but for live updates.
import { listenToKeys } from "./keys.js";
import { keepLive } from "./live.js";
import { closeMenus, focusScrollers, offerCopies, submitOnChoice, switchTheme, takeCodeFromAddress } from "./controls.js";

document.documentElement.classList.add("scripted");
switchTheme();
submitOnChoice();
takeCodeFromAddress();
closeMenus();
listenToKeys();
const enhance = () => { offerCopies(); focusScrollers(); };
enhance();
addEventListener("resize", focusScrollers);
keepLive(enhance);
