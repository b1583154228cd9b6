// A call over gRPC whose message is compressed as the second argument says: node compressed.mjs ORIGIN ENCODING BASE64
// Prints how it ended, as a client is told. Plain HTTP/2, since clients refuse what they don't know before they send it.
import http2 from "node:http2";

const [origin, encoding, body] = process.argv.slice(2);
const message = Buffer.from(body, "base64");
const head = Buffer.alloc(5);
head.writeUInt8(1, 0); // compressed
head.writeUInt32BE(message.length, 1);

const session = http2.connect(origin);
const call = session.request({
  ":method": "POST",
  ":path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  "content-type": "application/grpc",
  te: "trailers",
  "grpc-encoding": encoding,
});
const told = {};
const listen = (headers) => Object.assign(told, headers);
call.on("response", listen);
call.on("trailers", listen);
call.on("data", () => {});
call.on("error", (error) => listen({ error: error.message }));
call.on("close", () => {
  console.log(JSON.stringify(told));
  session.close();
});
call.end(Buffer.concat([head, message]));
