// Nobody is identified: no cookie, no address with what was asked for in it, no text of the page. What may name a person
// or a thing of theirs is replaced before it leaves the browser, not after.

import { settings } from "./settings.js";

/** Has the visitor told the browser not to be followed? */
export const isObjecting = () => navigator.globalPrivacyControl || (navigator.doNotTrack || window.doNotTrack) == 1;

// `v1` and `oauth2` are words; anything else with a digit, an escape or a sign in it, or very long, is somebody's.
const templated = (segment) => (/^([a-z]+\d{0,2}|[a-z][a-z_.-]{0,39})?$/i.test(segment) ? segment : "{id}");

/** A path without ids. */
export const template = (path) => path.split("/").map(templated).join("/");

/** The page's own name for itself, else its path without ids. */
export const here = () => settings.page || template(location.pathname);

/** An address without credentials, ids, query and fragment; of one that is data, that it is. */
export const address = (text) => {
  const url = new URL(text, location);
  return url.host ? url.origin + template(url.pathname) : url.protocol;
};

// Addresses in stack traces end in the line and the column, which stay.
const ASKED = /(\w:\/\/[^\s?#()'"]*)[?#][^\s()'"]*?((:\d+){0,2})(?=[\s()'"]|$)/g;
const MAIL = /[\w.+-]+@[\w-]+(\.[\w-]+)+/g;

const MOST_CHARS = 1e4; // looked at
// Scripts within the page are told by its address.
const { origin, pathname } = location;

/** Text of an error, without queries, mail addresses and the page's ids. */
export const plain = (text, most) =>
  String(text)
    .slice(0, MOST_CHARS)
    .replace(ASKED, "$1$2")
    .replace(MAIL, "{mail}")
    .split(origin + pathname)
    .join(origin + template(pathname))
    .slice(0, most);

/** The same of a message, where numbers are no lines and columns. */
export const message = (text) => plain(text, 300).replace(/\d{5,}/g, "{number}");

// Not `element.id`: of a form that is its field of that name.
const id = (element) => element.getAttribute("id");
const named = (element) =>
  element.localName + (id(element) ? "#" + id(element) : [...element.classList].map((name) => "." + name).join(""));

/** Where in the page an element is: names of tags, ids and classes, never what it says. */
export const selector = (node) => {
  const element = node && node.nodeType == 3 ? node.parentElement : node;
  if (!element || !element.localName) return;
  const parent = id(element) ? null : element.parentElement;
  return ((parent ? named(parent) + ">" : "") + named(element)).replace(/\d{3,}/g, "*").slice(0, 100);
};
