// Errors that nobody caught, each once per page: one in a loop would be all that is sent.

import { guarded } from "./guard.js";
import { message, plain } from "./privacy.js";

const MOST_CHARS = 2000; // of a stack trace: its innermost frames

export const watchErrors = (report) => {
  const seen = new Set();
  const tell = guarded((error, text) => {
    const isError = error instanceof Error;
    const said = isError ? error.message : text || String(error);
    const type = (isError && error.name) || (error && typeof error != "object" ? typeof error : "Error");
    // Some browsers begin the stack trace with the message.
    const stack = isError && error.stack ? plain(error.stack.split(said).join(message(said)), MOST_CHARS) : "";
    const key = type + said + stack;
    if (seen.has(key) || seen.size > 99) return;
    seen.add(key);
    report("exception", { "exception.type": type, "exception.message": message(said), "exception.stacktrace": stack });
  });
  addEventListener("error", (event) => tell(event.error, event.message));
  addEventListener("unhandledrejection", (event) => tell(event.reason));
};
