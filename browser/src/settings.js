// What the page says, in the data attributes of its <script> tag. A module script or a tag manager leaves no
// `currentScript`: then the tag is looked for.

const script = document.currentScript || document.querySelector('script[data-service][src*="rum"]');
const said = script ? script.dataset : {};

export const settings = {
  service: said.service,
  version: said.version,
  environment: said.environment,
  // What is no number is NaN, below which no session is.
  sample: said.sample ? +said.sample : 1,
  endpoint:
    script &&
    (said.endpoint || new URL(script.src).origin).replace(/\/+$/, "") + "/v1/logs" + (said.token ? "?token=" + said.token : ""),
  needsConsent: said.consent === "required",
  // Origins whose requests carry a trace context.
  traced: said.trace === "off" ? [] : [location.origin, ...(said.trace || "").split(/[\s,]+/)],
  page: said.page,
};
