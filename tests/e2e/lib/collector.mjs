// An OTLP collector: takes spans over gRPC and keeps them (opentelemetry-proto, collector/trace/v1).

import { createServer } from "node:http2";
import { fields, under } from "./protobuf.mjs";

export async function traceCollector() {
  const spans = [];
  const server = createServer();
  server.on("stream", (stream) => {
    const parts = [];
    stream.on("error", () => undefined);
    stream.on("data", (data) => parts.push(data));
    stream.on("end", () => {
      take(Buffer.concat(parts).subarray(5), spans);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc(5));
    });
  });
  const sessions = new Set();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  await new Promise((resolve) => server.listen(0, "0.0.0.0", resolve));
  return { spans, port: server.address().port, close: () => (sessions.forEach((session) => session.destroy()), server.close()) };
}

function take(body, spans) {
  for (const resource of under(body, 1)) {
    const attributes = under(resource, 1, 1).map((pair) => [String(under(pair, 1)[0]), String(under(pair, 2, 1)[0] ?? "")]);
    const service = new Map(attributes).get("service.name");
    for (const span of under(resource, 2, 2)) {
      const one = new Map(fields(span));
      spans.push({ service, trace: one.get(1).toString("hex"), id: one.get(2).toString("hex"), parent: one.get(4)?.toString("hex") ?? "", name: String(one.get(5)) });
    }
  }
}
