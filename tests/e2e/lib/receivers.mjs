// A webhook receiver and an SMTP server, real enough for a real alert manager.

import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";

/** Collects webhook bodies. Listens on all interfaces, so that containers reach it by their gateway's address. */
export async function webhookReceiver() {
  const bodies = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (data) => (text += data));
    request.on("end", () => {
      bodies.push(JSON.parse(text));
      response.end("ok");
    });
  });
  await new Promise((resolve) => server.listen(0, "0.0.0.0", resolve));
  return { bodies, port: server.address().port, close: () => server.close() };
}

/** Collects mails. Speaks the least of SMTP that a mailer needs. */
export async function smtpServer() {
  const mails = [];
  const server = createTcpServer((socket) => {
    let buffer = "";
    let inData = false;
    const say = (line) => socket.write(`${line}\r\n`);
    say("220 test ESMTP");
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      buffer += data.toString("utf8");
      for (;;) {
        if (inData) {
          const end = buffer.indexOf("\r\n.\r\n");
          if (end < 0) return;
          mails.push(buffer.slice(0, end));
          buffer = buffer.slice(end + 5);
          inData = false;
          say("250 taken");
          continue;
        }
        const newline = buffer.indexOf("\r\n");
        if (newline < 0) return;
        const line = buffer.slice(0, newline);
        buffer = buffer.slice(newline + 2);
        const verb = line.slice(0, 4).toUpperCase();
        if (verb === "EHLO") {
          say("250-test");
          say("250 8BITMIME");
        } else if (verb === "DATA") {
          inData = true;
          say("354 go on");
        } else if (verb === "QUIT") {
          say("221 bye");
          socket.end();
          return;
        } else {
          say("250 fine");
        }
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "0.0.0.0", resolve));
  return { mails, port: server.address().port, close: () => server.close() };
}
