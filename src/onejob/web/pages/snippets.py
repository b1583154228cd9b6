"""What to copy on a server that has nothing yet: five lines per language, with this server's own address in them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One tab: `key` is its value in the address bar."""

    key: str
    name: str
    text: str
    remark: str


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
  otlphttp/onejob: {endpoint: "{http}"}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlphttp/onejob]}"""

_SNIPPETS = (
    ("python", "Python", _PYTHON, "FastAPI, Django, Flask and most libraries are instrumented by themselves."),
    ("javascript", "JavaScript", _JAVASCRIPT, "Express, Fastify, Nest and most others are instrumented by themselves."),
    ("java", "Java", _JAVA, "Spring, Quarkus, servlets and most libraries are instrumented by themselves."),
    ("go", "Go", _GO, "Wrap your handler: otelhttp.NewHandler(handler, \"server\") makes a span of every request."),
    ("collector", "Collector", _COLLECTOR, "Keep what the pipeline exports to already; add this exporter beside it."),
)  # fmt: skip
LANGUAGES = tuple(key for key, *_ in _SNIPPETS)


def snippets(otlp_http: str) -> list[Snippet]:
    """All five, with the address of this server."""
    return [
        Snippet(key=key, name=name, text=text.replace("{http}", otlp_http), remark=remark)
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
