// Requests to the page's own origin, and to those it lists, carry a W3C trace context, so that a backend's trace of them
// can be told to be of a browser. Each begins a trace; one that has a context already is left alone.

import { guarded } from "./guard.js";
import { isSending } from "./send.js";
import { random } from "./session.js";
import { settings } from "./settings.js";

const NAME = "traceparent";

const context = () => `00-${random(16)}-${random(8)}-01`;

const isTraced = (address) => isSending() && settings.traced.includes(new URL(address, document.baseURI).origin);

/** What `fetch` is to be given instead; as it was where there is nothing to add. */
const withContext = (input, init) => {
  const isRequest = input instanceof Request;
  if (!isTraced(isRequest ? input.url : input)) return;
  const headers = new Headers((init && init.headers) || (isRequest ? input.headers : []));
  if (headers.has(NAME)) return;
  headers.set(NAME, context());
  return [input, { ...init, headers }];
};

export const watchRequests = () => {
  const native = window.fetch;
  window.fetch = function (...given) {
    return native.apply(this, (given.length && guarded(withContext)(...given)) || given);
  };
  const { open, send, setRequestHeader } = XMLHttpRequest.prototype;
  const wanting = new WeakSet();
  Object.assign(XMLHttpRequest.prototype, {
    open(...given) {
      const result = open.apply(this, given);
      guarded(() => wanting[isTraced(given[1]) ? "add" : "delete"](this))();
      return result;
    },
    setRequestHeader(...given) {
      // A second one would be added to the first.
      if (/^traceparent$/i.test(given[0])) wanting.delete(this);
      return setRequestHeader.apply(this, given);
    },
    send(...given) {
      guarded(() => wanting.has(this) && setRequestHeader.call(this, NAME, context()))();
      return send.apply(this, given);
    },
  });
};
