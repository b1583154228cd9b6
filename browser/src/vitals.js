// Web vitals, and what each was made of, under the names of OpenTelemetry's instrumentation for browsers.
//
// They are of the page as it was loaded, also when a single-page app has gone to another route since.

import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";

import { address, here, selector } from "./privacy.js";
import { guarded } from "./guard.js";

const OF = "browser.web_vital.";
const FROM = OF + "attribution.";

const loading = () => performance.getEntriesByType("navigation")[0] || {};
const since = (from, to) => Math.max(0, Math.round(to - from));

// The latest slow events. Of an interaction the library keeps the one that users waited for longest, such as pointerdown;
// but what was waited for may be the handler of another one, before the same paint: of mousedown, or of click. What was
// painted together ends together, as far as durations tell, which are in steps of 8 ms.
let slow = [];
let watching;
const watchEvents = guarded(() => {
  watching = new PerformanceObserver((list) => {
    slow = [...slow, ...list.getEntries()].slice(-50);
  });
  watching.observe({ type: "event", durationThreshold: 16, buffered: true });
});

const details = {
  LCP([entry]) {
    if (!entry) return {};
    const resource = entry.url && performance.getEntriesByType("resource").find(({ name }) => name == entry.url);
    const first = loading().responseStart;
    const [begun, ended] = resource ? [resource.requestStart || resource.startTime, resource.responseEnd] : [first, first];
    return {
      target: selector(entry.element),
      url: entry.url && address(entry.url),
      time_to_first_byte: first,
      resource_load_delay: since(first, begun),
      resource_load_duration: since(begun, ended),
      element_render_delay: since(ended, entry.startTime),
    };
  },
  INP([entry]) {
    if (!entry) return {};
    slow.push(...watching.takeRecords());
    const { startTime, processingStart, duration, name } = entry;
    const end = startTime + duration;
    const painted = slow.filter(
      (event) => event.processingStart >= processingStart && Math.abs(event.startTime + event.duration - end) <= 8,
    );
    const processingEnd = Math.max(...[entry, ...painted].map((event) => event.processingEnd));
    return {
      interaction_target: selector([entry, ...painted].map((event) => event.target).find((target) => target)),
      interaction_type: name.startsWith("key") ? "keyboard" : "pointer",
      input_delay: since(startTime, processingStart),
      processing_duration: since(processingStart, processingEnd),
      presentation_delay: since(processingEnd, end),
    };
  },
  CLS(entries) {
    const [largest] = [...entries].sort((a, b) => b.value - a.value);
    if (!largest) return {};
    const { node } = largest.sources.find((source) => source.node) || {};
    return { largest_shift_target: selector(node), largest_shift_value: largest.value };
  },
  FCP([entry]) {
    const first = loading().responseStart;
    return { time_to_first_byte: first, first_byte_to_fcp: entry && since(first, entry.startTime) };
  },
  TTFB([entry]) {
    if (!entry) return {};
    const { domainLookupStart, connectStart, connectEnd, responseStart } = entry;
    return {
      waiting_duration: since(0, domainLookupStart),
      dns_duration: since(domainLookupStart, connectStart),
      connection_duration: since(connectStart, connectEnd),
      request_duration: since(connectEnd, responseStart),
    };
  },
};

/**
 * Report each vital when it is known, and again with the same id when it has changed.
 *
 * INP is worked out in idle moments, of which a busy page has none before it is hidden; and what is worked out then comes
 * after the library has reported. So each change of it is held until `atTheEnd` calls.
 */
export const watchVitals = (report, atTheEnd) => {
  const loaded = here();
  let held;
  const made = ({ name, entries }) => guarded(details[name])(entries) || {};
  const tell = guarded(({ name, value, delta, id, rating, navigationType, parts }) => {
    const values = {
      "url.template": navigationType == "back-forward-cache" ? here() : loaded,
      [OF + "name"]: name.toLowerCase(),
      [OF + "value"]: value,
      [OF + "delta"]: delta,
      [OF + "id"]: id,
      [OF + "rating"]: rating,
      [OF + "navigation_type"]: navigationType,
    };
    for (const key of Object.keys(parts)) values[FROM + key] = parts[key];
    report("browser.web_vital", values);
  });
  for (const on of [onLCP, onCLS, onFCP, onTTFB]) on((metric) => tell({ ...metric, parts: made(metric) }));
  watchEvents();
  onINP(
    (metric) => {
      const before = held && held.id == metric.id ? held.delta : 0;
      held = { ...metric, parts: made(metric), delta: before + metric.delta };
    },
    { reportAllChanges: true },
  );
  atTheEnd(() => {
    if (held) tell(held);
    held = undefined;
  });
};
