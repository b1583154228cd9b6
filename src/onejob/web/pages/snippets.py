"""What to copy on a server that has nothing yet: a few lines per language or source, with this server's own address."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One tab: `key` is its value in the address bar, `page` the file of the repository that says more."""

    key: str
    name: str
    text: str
    remark: str
    page: str


_RESOURCE = "service.version=1.0.0,deployment.environment.name=production"
_EXPORT = f"""export OTEL_SERVICE_NAME=checkout
export OTEL_RESOURCE_ATTRIBUTES={_RESOURCE}
export OTEL_EXPORTER_OTLP_ENDPOINT={{http}} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"""

_PYTHON = f"""pip install opentelemetry-distro opentelemetry-exporter-otlp-proto-http
opentelemetry-bootstrap --action=install
{_EXPORT}
opentelemetry-instrument python app.py"""

_JAVASCRIPT = f"""npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node
{_EXPORT}
node --require @opentelemetry/auto-instrumentations-node/register app.js"""

_JAVA = f"""curl -LO https://github.com/open-telemetry/opentelemetry-java-instrumentation/releases/latest/download/opentelemetry-javaagent.jar
{_EXPORT}
java -javaagent:opentelemetry-javaagent.jar -jar app.jar"""

_GO = """// go get go.opentelemetry.io/otel/sdk/trace go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp
exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL("{http}/v1/traces"))
if err != nil { log.Fatal(err) }
otel.SetTracerProvider(trace.NewTracerProvider(trace.WithBatcher(exporter)))
// OTEL_SERVICE_NAME=checkout OTEL_RESOURCE_ATTRIBUTES=%s go run .""".replace("%s", _RESOURCE)

_COLLECTOR = """exporters:
  otlp_http/onejob: {endpoint: "{http}"}   # before version 0.144: otlphttp/onejob
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http/onejob]}"""

_PROMETHEUS = """remote_write:
  - url: {http}/api/v1/write
    send_exemplars: true
    send_native_histograms: true"""

_LOKI = """loki.write "onejob" {
  endpoint {
    url = "{http}/loki/api/v1/push"
  }
}"""

_SENTRY = """sentry_sdk.init(
    dsn="{dsn}",
    release="checkout@1.0.0",
    environment="production",
    traces_sample_rate=1.0,
)"""

_ACCESS_LOG = """pip install .   # in a clone of onejob
onejob tail /var/log/nginx/onejob.log --service checkout --endpoint {http}"""

_BROWSER = """<script defer src="{http}/rum.js" crossorigin="anonymous"
  data-service="checkout"
  data-version="1.0.0">
</script>"""

_VERSION = "Set service.version to the version you ship: it is how two versions are told apart."
_SNIPPETS = (
    (
        "python",
        "Python",
        _PYTHON,
        f"FastAPI, Django, Flask and most libraries are instrumented by themselves. {_VERSION}",
    ),
    (
        "javascript",
        "JavaScript",
        _JAVASCRIPT,
        f"Express, Fastify and most others are instrumented by themselves. {_VERSION}",
    ),
    ("java", "Java", _JAVA, f"Spring, Quarkus, servlets and most libraries are instrumented by themselves. {_VERSION}"),
    ("go", "Go", _GO, f'otelhttp.NewHandler(handler, "server") around yours makes a span of every request. {_VERSION}'),
    (
        "collector",
        "Collector",
        _COLLECTOR,
        f"Add this exporter beside what the pipeline exports to already. {_VERSION}",
    ),
    (
        "access-log",
        "Access log",
        _ACCESS_LOG,
        "A span of each line of nginx, HAProxy, Apache or Envoy. The page says what the log should say.",
    ),
    ("sentry", "Sentry", _SENTRY, "Transactions are traces, and are judged. The release is the version."),
    (
        "prometheus",
        "Prometheus",
        _PROMETHEUS,
        "Metrics are judged where a KPI names them; deployments are noticed by traces, or reported.",
    ),
    ("loki", "Loki", _LOKI, "New warnings and errors are told; deployments are noticed by traces, or reported."),
    (
        "browser",
        "Browser",
        _BROWSER,
        "ONEJOB_BROWSER_ORIGINS names the sites that may send. Deployments are noticed by traces, or reported.",
    ),
)
_PAGES = {
    "access-log": "how-to-access-logs",
    "sentry": "how-to-sentry",
    "prometheus": "how-to-prometheus",
    "loki": "how-to-loki",
    "browser": "browser",
}
LANGUAGES = tuple(key for key, *_ in _SNIPPETS)


def snippets(otlp_http: str) -> list[Snippet]:
    """All of them, with the address of this server."""
    dsn = otlp_http.replace("://", "://public@") + "/1"
    return [
        Snippet(
            key=key,
            name=name,
            text=text.replace("{http}", otlp_http).replace("{dsn}", dsn),
            remark=remark,
            page=f"docs/{_PAGES.get(key, 'connect')}.md",
        )
        for key, name, text, remark in _SNIPPETS
    ]


def report_with_curl(base_url: str, service: str) -> str:
    """How to report a deployment from any pipeline."""
    return (
        f"curl {base_url}/api/v1/deployments \\\n  -H 'content-type: application/json' \\\n"
        f'  -d \'{{"service": "{service}", "environment": "production",\n'
        '       "version": "1.0.1", "strategy": "canary"}\''
    )


def report_with_cli(base_url: str, service: str) -> str:
    """The same with the command line tool."""
    return (
        f"pip install . && export ONEJOB_URL={base_url}   # in a clone of onejob\n"
        f"onejob deployment start {service} 1.0.1 --environment production --strategy canary"
    )
