// The metrics server's API, as Prometheus defines it.

import { call } from "./http";

export type LabelSet = Record<string, string>;

export interface Series {
  labels: LabelSet;
  /** Seconds since the epoch. */
  times: number[];
  values: number[];
}

export interface QueryResult {
  type: "vector" | "matrix" | "scalar" | "string";
  series: Series[];
  warnings: string[];
  infos: string[];
  stats?: QueryStats;
  explain?: ExplainNode;
}

/** A part of a query with what it took; without a cost it was evaluated together with the part above it. */
export interface ExplainNode {
  kind: string;
  name: string;
  text: string | null;
  constant: boolean;
  cost?: { evaluations: number; seconds: number; ownSeconds: number; series: number; samples: number; samplesRead: number; ownSamplesRead: number };
  children: ExplainNode[];
}

/** What a query cost the server. */
export interface QueryStats {
  timings?: { evalTotalTime?: number; queryPreparationTime?: number; execQueueTime?: number; execTotalTime?: number; resultSortTime?: number };
  samples?: { totalQueryableSamples?: number; peakSamples?: number };
}

interface Envelope<T> {
  status: string;
  data: T;
  warnings?: string[];
  infos?: string[];
}

type Point = [number, string];
interface RawResult {
  stats?: QueryStats;
  explain?: ExplainNode;
  resultType: QueryResult["type"];
  result: { metric: LabelSet; value?: Point; values?: Point[]; histogram?: [number, { count: string }]; histograms?: [number, { count: string }][] }[] | Point;
}

/** Asks for what the query cost, as a whole and part by part. */
function cost(form: URLSearchParams) {
  form.set("stats", "all");
  form.set("explain", "true");
}

export async function queryRange(query: string, from: number, to: number, step: number, signal?: AbortSignal, stats = false): Promise<QueryResult> {
  const start = Math.floor(from / step) * step;
  const form = new URLSearchParams({ query, start: String(start), end: String(to), step: String(step) });
  if (stats) cost(form);
  return result(await call<Envelope<RawResult>>("prometheus/api/v1/query_range", { form, signal }));
}

export async function queryInstant(query: string, time?: number, signal?: AbortSignal, stats = false): Promise<QueryResult> {
  const form = new URLSearchParams({ query });
  if (stats) cost(form);
  if (time !== undefined) form.set("time", String(time));
  return result(await call<Envelope<RawResult>>("prometheus/api/v1/query", { form, signal }));
}

function result(envelope: Envelope<RawResult>): QueryResult {
  const { resultType, result } = envelope.data;
  const common = { type: resultType, stats: envelope.data.stats, explain: envelope.data.explain, warnings: envelope.warnings ?? [], infos: envelope.infos ?? [] };
  if (resultType === "scalar" || resultType === "string") {
    const [time, value] = result as Point;
    return { ...common, series: [{ labels: {}, times: [time], values: [parseValue(value)] }] };
  }
  const series = (result as Exclude<RawResult["result"], Point>).map((entry) => {
    // A native histogram is shown by its count.
    const histograms = entry.histograms ?? (entry.histogram ? [entry.histogram] : []);
    const points = entry.values ?? (entry.value ? [entry.value] : histograms.map(([time, h]): Point => [time, h.count]));
    return { labels: entry.metric, times: points.map((p) => p[0]), values: points.map((p) => parseValue(p[1])) };
  });
  return { ...common, series };
}

export function parseValue(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

export async function labelNames(signal?: AbortSignal): Promise<string[]> {
  return (await call<Envelope<string[]>>("prometheus/api/v1/labels", { signal })).data;
}

export async function labelValues(label: string, match?: string, from?: number, to?: number): Promise<string[]> {
  const params = new URLSearchParams();
  if (match) params.set("match[]", match);
  if (from !== undefined && to !== undefined) {
    params.set("start", String(from));
    params.set("end", String(to));
  }
  return (await call<Envelope<string[]>>(`prometheus/api/v1/label/${encodeURIComponent(label)}/values?${params}`)).data;
}

export async function seriesOf(match: string, from: number, to: number): Promise<LabelSet[]> {
  const params = new URLSearchParams({ "match[]": match, start: String(from), end: String(to) });
  return (await call<Envelope<LabelSet[]>>(`prometheus/api/v1/series?${params}`)).data;
}

export interface Target {
  discoveredLabels: LabelSet;
  labels: LabelSet;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface Targets {
  activeTargets: Target[];
  /** With the rule of `relabel_configs` that dropped each, where the server says it. */
  droppedTargets: { discoveredLabels: LabelSet; scrapePool?: string; droppedBy?: string; relabelIndex?: number; relabelRule?: unknown }[];
}

export async function targets(signal?: AbortSignal): Promise<Targets> {
  return (await call<Envelope<Targets>>("prometheus/api/v1/targets", { signal })).data;
}

/** When the metrics server began to run, in ms. */
export async function serverStart(signal?: AbortSignal): Promise<number> {
  const path = "prometheus/api/v1/status/runtimeinfo";
  return Date.parse((await call<Envelope<{ startTime: string }>>(path, { signal })).data.startTime);
}

export interface RuleAlert {
  labels: LabelSet;
  annotations: LabelSet;
  state: "pending" | "firing" | "inactive";
  activeAt: string;
  value: string;
}

export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  duration?: number;
  state?: "pending" | "firing" | "inactive" | "unknown";
  health: string;
  lastError?: string;
  lastEvaluation?: string;
  /** Seconds. */
  evaluationTime?: number;
  labels?: LabelSet;
  annotations?: LabelSet;
  alerts?: RuleAlert[];
}

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
}

/** Rule groups of the metrics server or of the log server, which speaks the same shape. */
export async function ruleGroups(server: "metrics" | "logs", signal?: AbortSignal): Promise<RuleGroup[]> {
  const path = server === "metrics" ? "prometheus/api/v1/rules" : "loki/prometheus/api/v1/rules";
  return (await call<Envelope<{ groups: RuleGroup[] }>>(path, { signal })).data.groups;
}

export interface CountOf {
  name: string;
  value: number;
}

export interface TsdbStatus {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: CountOf[];
  labelValueCountByLabelName: CountOf[];
  memoryInBytesByLabelName: CountOf[];
  seriesCountByLabelValuePair: CountOf[];
}

export async function tsdbStatus(limit?: number, signal?: AbortSignal): Promise<TsdbStatus> {
  return (await call<Envelope<TsdbStatus>>(`prometheus/api/v1/status/tsdb${limit ? `?limit=${limit}` : ""}`, { signal })).data;
}
