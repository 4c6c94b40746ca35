// The log server's API, as Loki defines it.

import { basePath } from "../router";
import { report } from "./away";
import { call } from "./http";
import { parseValue, type LabelSet, type QueryResult } from "./prometheus";

export interface LogLine {
  /** Nanoseconds since the epoch, 19 digits. */
  ns: string;
  /** Milliseconds since the epoch. */
  ms: number;
  text: string;
  labels: LabelSet;
  /** Structured metadata and what parsers took from the line. */
  fields: LabelSet;
}

export interface LogResult {
  lines: LogLine[];
  stats: { lines: number; bytes: number; seconds: number };
}

interface StreamEntry {
  stream: LabelSet;
  values: [string, string, { structuredMetadata?: LabelSet; parsed?: LabelSet }?][];
}

interface RawLogs {
  data: {
    resultType: "streams" | "matrix" | "vector" | "scalar";
    result: unknown;
    stats?: { summary?: { totalLinesProcessed?: number; totalBytesProcessed?: number; execTime?: number } };
  };
  warnings?: string[];
}

export type Answer = { kind: "lines"; logs: LogResult } | { kind: "series"; result: QueryResult };

/** Every stream: the log server gives each one a service name, be it of a container, a file or the journal. */
export const ALL_LINES = '{service_name=~".+"}';

const CATEGORIZE = "X-Loki-Response-Encoding-Flags";

export async function queryLogs(
  query: string,
  fromMs: number,
  toMs: number,
  options: { limit?: number; forward?: boolean; stepSeconds?: number; signal?: AbortSignal } = {},
): Promise<Answer> {
  const params = new URLSearchParams({
    query,
    start: `${Math.floor(fromMs)}000000`,
    end: `${Math.ceil(toMs)}000000`,
    limit: String(options.limit ?? 1000),
    direction: options.forward ? "forward" : "backward",
  });
  if (options.stepSeconds) params.set("step", String(options.stepSeconds));
  const raw = await categorized<RawLogs>(`loki/loki/api/v1/query_range?${params}`, options.signal);
  if (raw.data.resultType === "streams") {
    const summary = raw.data.stats?.summary;
    const lines = toLines(raw.data.result as StreamEntry[]);
    lines.sort((a, b) => (options.forward ? compareNs(a.ns, b.ns) : compareNs(b.ns, a.ns)));
    const stats = { lines: summary?.totalLinesProcessed ?? 0, bytes: summary?.totalBytesProcessed ?? 0, seconds: summary?.execTime ?? 0 };
    return { kind: "lines", logs: { lines, stats } };
  }
  return { kind: "series", result: toSeries(raw) };
}

export async function queryLogSeries(query: string, fromMs: number, toMs: number, stepSeconds: number, signal?: AbortSignal): Promise<QueryResult> {
  const answer = await queryLogs(query, fromMs, toMs, { stepSeconds, signal });
  if (answer.kind === "lines") throw new Error("The query returns lines; a metric query such as count_over_time(… [1m]) is wanted here.");
  return answer.result;
}

async function categorized<T>(path: string, signal?: AbortSignal): Promise<T> {
  // fetch with an extra header; errors as everywhere.
  const response = await fetch(basePath + path, { headers: { [CATEGORIZE]: "categorize-labels" }, signal, credentials: "same-origin" });
  if (response.ok) {
    report(path, response.status);
    return (await response.json()) as T;
  }
  // Ask once more through the common path so that session and error handling are the same.
  return call<T>(path, { signal });
}

function toSeries(raw: RawLogs): QueryResult {
  const common = { warnings: raw.warnings ?? [], infos: [] };
  if (raw.data.resultType === "scalar") {
    const [time, value] = raw.data.result as [number, string];
    return { type: "scalar", series: [{ labels: {}, times: [time], values: [parseValue(value)] }], ...common };
  }
  const entries = raw.data.result as { metric: LabelSet; value?: [number, string]; values?: [number, string][] }[];
  const series = entries.map((entry) => {
    const points = entry.values ?? (entry.value ? [entry.value] : []);
    return { labels: entry.metric, times: points.map((p) => p[0]), values: points.map((p) => parseValue(p[1])) };
  });
  return { type: raw.data.resultType as "matrix" | "vector", series, ...common };
}

export function toLines(streams: StreamEntry[]): LogLine[] {
  const lines: LogLine[] = [];
  for (const { stream, values } of streams) {
    for (const [ns, text, extra] of values) {
      const fields = { ...extra?.structuredMetadata, ...extra?.parsed };
      lines.push({ ns, ms: Number(ns.slice(0, -6)), text, labels: stream, fields });
    }
  }
  return lines;
}

export function compareNs(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

export async function logLabels(): Promise<string[]> {
  return (await call<{ data?: string[] }>("loki/loki/api/v1/labels")).data ?? [];
}

export async function logLabelValues(label: string, selector?: string): Promise<string[]> {
  const params = selector ? `?${new URLSearchParams({ query: selector })}` : "";
  return (await call<{ data?: string[] }>(`loki/loki/api/v1/label/${encodeURIComponent(label)}/values${params}`)).data ?? [];
}

const PROBE_MS = 2000;

export interface Tail {
  close(): void;
}

/** Follows a query. `onState` tells whether the connection stands; it is opened again by itself. */
export function tail(
  query: string,
  startMs: number,
  onLines: (lines: LogLine[], dropped: number) => void,
  onState: (connected: boolean, reason: string) => void,
): Tail {
  let socket: WebSocket | undefined;
  let closed = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let start = `${startMs}000000`;
  let heard = Date.now();
  let probing = false;
  // A connection that hangs is told from a quiet one by asking whether the gateway answers at all.
  const probe = setInterval(() => {
    if (closed || probing || socket?.readyState !== WebSocket.OPEN || Date.now() - heard < PROBE_MS) return;
    probing = true;
    fetch(`${basePath}api/health`, { signal: AbortSignal.timeout(2000) })
      .then(() => (heard = Date.now()), () => socket?.close())
      .finally(() => (probing = false));
  }, PROBE_MS);
  const open = () => {
    const url = new URL(`${basePath}loki/loki/api/v1/tail`, window.location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = new URLSearchParams({ query, start, limit: "200" }).toString();
    socket = new WebSocket(url);
    socket.onopen = () => onState(true, "");
    socket.onmessage = (event) => {
      heard = Date.now();
      const frame = JSON.parse(String(event.data)) as { streams?: StreamEntry[]; dropped_entries?: unknown[] };
      const lines = toLines(frame.streams ?? []).sort((a, b) => compareNs(a.ns, b.ns));
      const newest = lines[lines.length - 1];
      if (newest) start = String(BigInt(newest.ns) + 1n);
      onLines(lines, frame.dropped_entries?.length ?? 0);
    };
    socket.onclose = (event) => {
      if (closed) return;
      onState(false, event.reason || "connection lost");
      retry = setTimeout(open, 2000);
    };
  };
  open();
  return {
    close() {
      closed = true;
      clearInterval(probe);
      clearTimeout(retry);
      socket?.close();
    },
  };
}
