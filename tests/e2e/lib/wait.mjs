// Waiting for conditions, never for time alone.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `probe` until it returns something truthy; throws with the last error or value at the deadline. */
export async function until(what, seconds, probe) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${seconds} s; last: ${last instanceof Error ? (last.stack ?? last.message) : JSON.stringify(last)}`);
    }
    await sleep(250);
  }
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

export function equal(found, expected, message) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${message}: found ${a}, expected ${b}`);
}
