// One trace, two log records and a metric of each kind, sent by OpenTelemetry's own exporters:
// node send.mjs grpc|http/json|http/protobuf ENDPOINT SERVICE
import { context, diag, DiagConsoleLogger, DiagLogLevel, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [protocol, endpoint, service] = process.argv.slice(2);
const form = { grpc: 'grpc', 'http/json': 'http', 'http/protobuf': 'proto' }[protocol];
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${form}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${form}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${form}`);
const to = (kind) => ({
  url: form === 'grpc' ? endpoint : `${endpoint}/v1/${kind}`,
  compression: form === 'proto' ? 'gzip' : 'none',
});
const resource = resourceFromAttributes({
  'service.name': service,
  'service.version': '7',
  'service.instance.id': 'i',
});

const traces = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(to('traces')))],
});
const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(to('logs')) })],
});
const metrics = new MeterProvider({
  resource,
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(to('metrics')),
      exportIntervalMillis: 3_600_000,
    }),
  ],
  views: [{ instrumentName: 'size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});

const tracer = traces.getTracer('shop', '1.2');
const request = tracer.startSpan('GET /cart', {
  kind: SpanKind.SERVER,
  attributes: { 'http.route': '/cart', 'tenant.id': 't-1', 'http.response.status_code': 503, ratio: 0.5 },
});
const within = trace.setSpan(context.active(), request);
const query = tracer.startSpan('SELECT', { kind: SpanKind.CLIENT }, within);
query.recordException(new RangeError('no such item'));
query.end();
request.setStatus({ code: SpanStatusCode.ERROR, message: 'no database' });
request.end();

const logger = logs.getLogger('shop', '1.2');
logger.emit({
  severityNumber: SeverityNumber.WARN,
  severityText: 'WARN',
  body: 'the order failed',
  attributes: { tenant: 't-1', items: [1, 2] },
  context: within,
});
logger.emit({ body: { order: 7, paid: false }, eventName: 'order.placed' });

const meter = metrics.getMeter('shop', '1.2');
meter.createCounter('orders', { unit: '{order}', description: 'placed' }).add(3, { tenant: 't-1' });
meter.createUpDownCounter('stock').add(-2.5);
meter.createGauge('queue.depth').record(7);
meter.createHistogram('duration', { advice: { explicitBucketBoundaries: [0.1, 1.0] } }).record(0.25);
const sizes = meter.createHistogram('size');
[1, 4, 4, 0].forEach((size) => sizes.record(size));

await Promise.all([traces.shutdown(), logs.shutdown(), metrics.shutdown()]);
console.log(JSON.stringify(request.spanContext()));
