// As much of protobuf's wire format as the tests read and write (https://protobuf.dev/programming-guides/encoding/).

export function varint(value) {
  const bytes = [];
  let rest = BigInt(value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A field of bytes: a message, a string. */
export function bytesField(number, bytes) {
  const data = Buffer.from(bytes);
  return Buffer.concat([varint((number << 3) | 2), varint(data.length), data]);
}

export const varintField = (number, value) => Buffer.concat([varint(number << 3), varint(value)]);

export function doubleField(number, value) {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([varint((number << 3) | 1), data]);
}

/** The fields of a message: [number, Buffer or bigint]. */
export function* fields(message) {
  let at = 0;
  const read = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(read());
    const [number, type] = [key >> 3, key & 7];
    if (type === 0) yield [number, read()];
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : Number(read());
      yield [number, message.subarray(at, at + length)];
      at += length;
    }
  }
}

/** All messages under a path of field numbers. */
export function under(message, ...path) {
  if (path.length === 0) return [message];
  return [...fields(message)].filter(([number]) => number === path[0]).flatMap(([, value]) => under(value, ...path.slice(1)));
}
