// Which servers do not answer: told by every call, shown as one banner, tried again until they do.

import { useSyncExternalStore } from "react";

const NAMES: Record<string, string> = { prometheus: "metrics server", loki: "log server", alertmanager: "alert manager" };

let away: readonly string[] = [];
const listeners = new Set<() => void>();

/** The server that a path of the gateway leads to. */
export function serverOf(path: string): string {
  return NAMES[path.split("/")[0] ?? ""] ?? "gateway";
}

/** Statuses with which the gateway says that the server behind it is away; 0: the gateway itself. */
export function meansAway(status: number): boolean {
  return status === 0 || status === 502 || status === 503 || status === 504;
}

export function report(path: string, status: number) {
  const server = status === 0 ? "gateway" : serverOf(path);
  if (meansAway(status) === away.includes(server) && !(status !== 0 && away.includes("gateway"))) return;
  // Any answer at all shows that the gateway is back.
  const rest = away.filter((one) => one !== server && (status === 0 || one !== "gateway"));
  away = meansAway(status) ? [...rest, server] : rest;
  listeners.forEach((listener) => listener());
}

export function useAway(): readonly string[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => away,
  );
}

/** For tests. */
export function awayNow(): readonly string[] {
  return away;
}
