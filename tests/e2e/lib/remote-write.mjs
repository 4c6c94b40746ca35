// A remote-write 1.0 sender (https://prometheus.io/docs/specs/prw/remote_write_spec/).

import { bytesField, doubleField, varint, varintField } from "./protobuf.mjs";

/** Snappy's block format with literals only: valid, though nothing gets smaller. */
function snappy(data) {
  const parts = [varint(data.length)];
  for (let at = 0; at < data.length; at += 60) {
    const chunk = data.subarray(at, at + 60);
    parts.push(Buffer.from([(chunk.length - 1) << 2]), chunk);
  }
  return Buffer.concat(parts);
}

/** Sends one sample of one series; answers the HTTP status, or 0 where no answer came. */
export async function writeSample(url, labels, value, timestampMs) {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const series = Buffer.concat([
    ...pairs.map(([name, text]) => bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, text)]))),
    bytesField(2, Buffer.concat([doubleField(1, value), varintField(2, timestampMs)])),
  ]);
  try {
    const answer = await fetch(`${url}/api/v1/write`, {
      method: "POST",
      headers: { "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0" },
      body: snappy(bytesField(1, series)),
      signal: AbortSignal.timeout(3000),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0;
  }
}
