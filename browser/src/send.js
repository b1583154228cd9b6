// Events go out as OTLP log records in JSON, a few seconds after they happened and when the page is hidden.
//
// The body is sent as text/plain and without credentials, which needs no question beforehand (a CORS preflight) that a
// page on its way out could not wait for; onejob takes it by the page's origin. No time is in it: browsers' clocks are
// often wrong by minutes, so the time is the one at which onejob has it. An event that could not be sent is lost.

import { guarded } from "./guard.js";
import { here } from "./privacy.js";
import { random } from "./session.js";
import { settings } from "./settings.js";

const WAIT_MS = 2000;
const MOST_CHARS = 30000; // of a request: those on their way when a page ends may have 64 KiB together
const VITAL_ID = "browser.web_vital.id";
const DELTA = "browser.web_vital.delta";
const ERROR = 17; // severity numbers of OpenTelemetry
const INFO = 9;

// How many events of a kind a page may send.
const left = { "browser.web_vital": 40, exception: 20, "browser.navigation": 30, "onejob.rage_click": 10 };
const native = window.fetch;
let waiting = [];
let timer;
let isOver = false; // Is the page hidden, and has what waited then been sent?
let id;

const valued = (value) =>
  typeof value == "number" ? { doubleValue: value } : typeof value == "boolean" ? { boolValue: value } : { stringValue: value };

const attributed = (values) =>
  Object.keys(values)
    .filter((key) => values[key] || values[key] === 0 || values[key] === false)
    .map((key) => ({ key, value: valued(values[key]) }));

const post = (records) => {
  const { service, version, environment, endpoint } = settings;
  const resource = attributed({
    "service.name": service,
    "service.version": version,
    "deployment.environment.name": environment,
    "telemetry.sdk.name": "onejob-rum",
    "telemetry.sdk.language": "webjs",
    "telemetry.sdk.version": VERSION,
  });
  const logRecords = records.map(([eventName, severityNumber, values]) => ({
    eventName,
    severityNumber,
    attributes: attributed(values),
  }));
  const body = JSON.stringify({ resourceLogs: [{ resource: { attributes: resource }, scopeLogs: [{ logRecords }] }] });
  if (records.length > 1 && body.length > MOST_CHARS) {
    const middle = records.length >> 1;
    post(records.slice(0, middle));
    post(records.slice(middle));
  } else if ("keepalive" in Request.prototype) {
    native(endpoint, { method: "POST", body, keepalive: true, credentials: "omit" }).catch(() => {});
  } else {
    navigator.sendBeacon(endpoint, body);
  }
};

const flush = guarded(() => {
  clearTimeout(timer);
  timer = 0;
  const records = waiting;
  waiting = [];
  if (records.length) post(records);
});

/** Send an event, with the page it is of unless `values` say so. A vital that still waits is replaced by its newer value. */
export const report = guarded((name, values) => {
  if (!id) return;
  const before = values[VITAL_ID] && waiting.find((record) => record[2][VITAL_ID] == values[VITAL_ID]);
  const all = { "url.template": here(), ...values, "session.id": id, "log.record.uid": random(8) };
  if (before) {
    all[DELTA] += before[2][DELTA];
    before[2] = all;
  } else if (left[name]-- > 0) waiting.push([name, name == "exception" ? ERROR : INFO, all]);
  if (isOver) flush();
  else timer = timer || setTimeout(flush, WAIT_MS);
});

/** Send for this session from now on; without one, nothing, and what waits is gone. */
export const sendFor = (session) => {
  id = session;
  waiting = [];
};

/** Is anything sent? */
export const isSending = () => !!id;

const last = [];

/** Before what waits is sent because the page is hidden: `act`. */
export const atTheEnd = (act) => last.push(guarded(act));

/** Send what waits when the page is hidden: there may be no later moment. */
export const watchTheEnd = () => {
  // Vitals are worked out by listeners that capture the event, and so before this one.
  addEventListener("visibilitychange", () => {
    isOver = false;
    if (document.visibilityState != "hidden") return;
    for (const act of last) act();
    flush();
    isOver = true;
  });
  addEventListener("pagehide", flush);
};
