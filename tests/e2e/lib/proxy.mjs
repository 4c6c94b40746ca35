// A reverse proxy as sites have one in front: a path prefix, cut off or kept, and upgrades for websockets.

import { createServer, request } from "node:http";
import { connect } from "node:net";

/** Forwards `prefix` to a port of this machine; anything else answers 404. With `keep` the prefix stays in the path. */
export async function reverseProxy({ prefix, port, keep = false }) {
  const target = (url) => {
    if (!url.startsWith(`${prefix}/`)) return undefined;
    return keep ? url : url.slice(prefix.length);
  };
  const server = createServer((incoming, answer) => {
    const path = target(incoming.url);
    if (incoming.url === prefix) {
      answer.writeHead(301, { location: `${prefix}/` }).end();
      return;
    }
    if (path === undefined) {
      answer.writeHead(404).end("outside of the prefix");
      return;
    }
    const outgoing = request({ host: "127.0.0.1", port, path, method: incoming.method, headers: incoming.headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", (error) => answer.writeHead(502).end(String(error)));
    incoming.pipe(outgoing);
  });
  server.on("upgrade", (incoming, socket) => {
    const path = target(incoming.url);
    if (path === undefined) return socket.end();
    const upstream = connect(port, "127.0.0.1", () => {
      const headers = [];
      for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
      upstream.write(`GET ${path} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
    for (const end of [socket, upstream]) end.on("error", () => [socket, upstream].forEach((one) => one.destroy()));
  });
  await new Promise((resolve) => server.listen(0, "0.0.0.0", resolve));
  return { port: server.address().port, close: () => (server.closeAllConnections(), server.close()) };
}
