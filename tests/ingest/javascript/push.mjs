// Two log messages, pushed as Winston pushes to Loki: node push.mjs json|protobuf ADDRESS SERVICE
import winston from 'winston';
import LokiTransport from 'winston-loki';

const [form, host, service] = process.argv.slice(2);
const loki = new LokiTransport({
  host,
  json: form === 'json',
  labels: { service_name: service, service_version: '7' },
  gracefulShutdown: false,
  onConnectionError: (error) => console.error(error),
});
const logger = winston.createLogger({ transports: [loki] });
logger.info('order 7 placed');
logger.error('the order failed', { labels: { tenant: 't-1' } });
await loki.flush();
process.exit(0);
