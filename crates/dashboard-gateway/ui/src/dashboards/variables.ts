// Variables: their options, their values, and how they are put into queries (the rules of Grafana 7.5).

import { labelNames, labelValues, queryInstant, seriesOf, type LabelSet } from "../api/prometheus";
import { logLabels, logLabelValues } from "../api/loki";
import { parseDuration } from "../time/range";
import { sourceKind, type VariableModel } from "./model";

export type Values = Record<string, string[]>;
export const ALL = "$__all";

export interface Scope {
  variables: VariableModel[];
  values: Values;
  /** All options of each variable, for All. */
  options: Record<string, string[]>;
  builtins: Record<string, string>;
}

const REFERENCE = /\$\{(\w+)(?:\.[^:}]+)?(?::([^}]+))?\}|\$(\w+)|\[\[(\w+)(?::(\w+))?\]\]/g;

/** `text` with all variables put in, as the language needs them. */
export function interpolate(text: string, scope: Scope, language: "prometheus" | "loki" | "text"): string {
  return text.replace(REFERENCE, (whole, braced?: string, format?: string, plain?: string, old?: string, oldFormat?: string) => {
    const name = braced ?? plain ?? old ?? "";
    const builtin = scope.builtins[name];
    if (builtin !== undefined) return builtin;
    const variable = scope.variables.find((one) => one.name === name);
    const values = scope.values[name];
    if (values === undefined) return whole;
    const all = values.includes(ALL);
    if (all && variable?.allValue) return variable.allValue;
    const chosen = all ? (scope.options[name] ?? []).filter((value) => value !== ALL) : values;
    return write(chosen, format ?? oldFormat, variable, language);
  });
}

const escapeRegex = (value: string) => value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
/** Regex specials inside a quoted PromQL string need two backslashes. */
const escapeInString = (value: string) => value.replace(/\\/g, "\\\\\\\\").replace(/[$^*{}[\]'+?.()|]/g, "\\\\$&");

function write(values: string[], format: string | undefined, variable: VariableModel | undefined, language: "prometheus" | "loki" | "text"): string {
  switch (format) {
    case "csv":
    case "raw":
      return values.join(",");
    case "pipe":
      return values.join("|");
    case "regex":
      return values.length === 1 ? escapeRegex(values[0]!) : `(${values.map(escapeRegex).join("|")})`;
    case "json":
      return JSON.stringify(values);
    case "doublequote":
      return values.map((value) => `"${value.replace(/"/g, '\\"')}"`).join(",");
    case "singlequote":
      return values.map((value) => `'${value.replace(/'/g, "\\'")}'`).join(",");
    case "percentencode":
    case "queryparam":
      return encodeURIComponent(values.join(","));
    case "text":
      return values.join(" + ");
    case "glob":
      return values.length === 1 ? values[0]! : `{${values.join(",")}}`;
    default:
  }
  if (language === "text") return values.join(" + ");
  if (variable?.multi || variable?.includeAll) {
    const escaped = values.map(escapeInString);
    if (language === "prometheus" && escaped.length > 1) return `(${escaped.join("|")})`;
    return escaped.join("|");
  }
  const value = values[0] ?? "";
  return language === "prometheus" ? value.replace(/\\/g, "\\\\").replace(/'/g, "\\\\'") : value.replace(/'/g, "\\\\'");
}

/** The names of variables that a text refers to. */
export function references(text: string): string[] {
  return [...text.matchAll(REFERENCE)].map((match) => match[1] ?? match[3] ?? match[4] ?? "");
}

/** Variables in an order in which each comes after those that it refers to. */
export function inOrder(variables: VariableModel[]): VariableModel[] {
  const done: VariableModel[] = [];
  let rest = variables;
  while (rest.length > 0) {
    const waiting = new Set(rest.map((variable) => variable.name));
    const ready = rest.filter((variable) => references(queryText(variable)).every((name) => name === variable.name || !waiting.has(name)));
    // A circle is broken at its first variable.
    const next = ready.length > 0 ? ready : [rest[0]!];
    done.push(...next);
    rest = rest.filter((variable) => !next.includes(variable));
  }
  return done;
}

export function queryText(variable: VariableModel): string {
  const { query } = variable;
  if (typeof query === "string") return query;
  if (query && typeof query === "object") {
    const { query: inner, label, stream, type } = query as { query?: unknown; label?: unknown; stream?: unknown; type?: unknown };
    if (typeof inner === "string") return inner;
    if (typeof label === "string" && label) return typeof stream === "string" && stream ? `label_values(${stream}, ${label})` : `label_values(${label})`;
    if (type === 0) return "label_names()";
  }
  return variable.definition ?? "";
}

/** Asks for the options of a variable. */
export async function loadOptions(variable: VariableModel, scope: Scope, fromMs: number, toMs: number): Promise<string[]> {
  const found = await rawOptions(variable, scope, fromMs / 1000, toMs / 1000);
  const filtered = applyRegex(found, variable.regex ? interpolate(variable.regex, scope, "text") : "");
  const options = sorted([...new Set(filtered)], variable.sort ?? 0).slice(0, 2000);
  return variable.includeAll ? [ALL, ...options] : options;
}

async function rawOptions(variable: VariableModel, scope: Scope, from: number, to: number): Promise<string[]> {
  switch (variable.type) {
    case "custom":
      return queryText(variable).split(",").map((value) => value.trim().replace(/^.* : /, "")).filter(Boolean);
    case "interval":
      return queryText(variable).split(",").map((value) => value.trim()).filter(Boolean);
    case "constant":
    case "textbox":
      return [queryText(variable)];
    case "datasource":
      return [queryText(variable) === "loki" ? "watchbell-logs" : "watchbell-metrics"];
    case "query":
      return queryOptions(variable, scope, from, to);
    default:
      return [];
  }
}

async function queryOptions(variable: VariableModel, scope: Scope, from: number, to: number): Promise<string[]> {
  const kind = sourceKind(variable.datasource, scope.values);
  const query = interpolate(queryText(variable), scope, kind).trim();
  const values = /^label_values\((?:([\s\S]+),)?\s*([^,]+?)\s*\)$/.exec(query);
  if (values) {
    const [, selector, label] = values;
    return kind === "loki" ? logLabelValues(label!, selector?.trim()) : labelValues(label!, selector?.trim(), from, to);
  }
  if (/^label_names\(.*\)$/.test(query)) return kind === "loki" ? logLabels() : labelNames();
  const metrics = /^metrics\((.*)\)$/.exec(query);
  if (metrics) {
    const names = await labelValues("__name__", undefined, from, to);
    const regex = new RegExp(metrics[1]!);
    return names.filter((name) => regex.test(name));
  }
  const result = /^query_result\(([\s\S]+)\)$/.exec(query);
  if (result) {
    const answer = await queryInstant(result[1]!, to);
    return answer.series.map((series) => `${describe(series.labels)} ${series.values[0]} ${(series.times[0] ?? 0) * 1000}`);
  }
  return (await seriesOf(query, from, to)).map(describe);
}

function describe(labels: LabelSet): string {
  const { __name__: name = "", ...rest } = labels;
  return `${name}{${Object.entries(rest).map(([label, value]) => `${label}="${value}"`).join(",")}}`;
}

function applyRegex(values: string[], text: string): string[] {
  if (!text) return values;
  const match = /^\/(.*)\/([a-z]*)$/s.exec(text);
  let regex: RegExp;
  try {
    regex = new RegExp(match?.[1] ?? `^${text}$`, match?.[2]?.replace("g", ""));
  } catch {
    return values;
  }
  return values.flatMap((value) => {
    const hit = regex.exec(value);
    return hit ? [hit.groups?.value ?? hit[1] ?? value] : [];
  });
}

function sorted(values: string[], mode: number): string[] {
  if (mode === 0) return values;
  const numeric = (value: string) => Number(/-?[\d.]+/.exec(value)?.[0] ?? Number.NaN);
  const compare =
    mode === 3 || mode === 4
      ? (a: string, b: string) => numeric(a) - numeric(b)
      : mode === 5 || mode === 6
        ? (a: string, b: string) => a.toLowerCase().localeCompare(b.toLowerCase())
        : (a: string, b: string) => a.localeCompare(b, undefined, { numeric: mode > 6 });
  const out = [...values].sort(compare);
  return mode % 2 === 0 ? out.reverse() : out;
}

/** The value that a variable has: from the URL, else as saved, else the first option. */
export function valueOf(variable: VariableModel, fromUrl: string[], options: string[]): string[] {
  const saved = variable.current?.value;
  const savedList = (Array.isArray(saved) ? saved : [saved]).filter((value): value is string => typeof value === "string" && value !== "");
  const free = variable.type === "textbox" || variable.type === "constant";
  if (fromUrl.length > 0) return fromUrl.map((value) => (value === "All" && variable.includeAll ? ALL : value));
  if (free) return savedList.length > 0 ? savedList : options.slice(0, 1);
  const known = savedList.map((value) => (value === "All" ? ALL : value)).filter((value) => options.includes(value));
  if (known.length > 0) return known;
  return options.length > 0 ? [options[0]!] : savedList;
}

/** `$__interval` and its like for a panel. */
export function builtins(fromMs: number, toMs: number, stepSeconds: number, scrapeSeconds = 15): Record<string, string> {
  const range = Math.round((toMs - fromMs) / 1000);
  const rate = Math.max(stepSeconds + scrapeSeconds, 4 * scrapeSeconds);
  return {
    __interval: `${stepSeconds}s`,
    __interval_ms: String(stepSeconds * 1000),
    __rate_interval: `${rate}s`,
    __rate_interval_ms: String(rate * 1000),
    __auto: `${stepSeconds}s`,
    __range: `${range}s`,
    __range_s: String(range),
    __range_ms: String(range * 1000),
    __from: String(Math.round(fromMs)),
    __to: String(Math.round(toMs)),
  };
}

/** A target's minimum step in seconds ("30s", ">1m"). */
export function minimumStep(interval: string | undefined, scope: Scope): number {
  if (!interval) return 5;
  const ms = parseDuration(interpolate(interval, scope, "text").replace(/^>/, ""));
  return ms ? Math.max(1, ms / 1000) : 5;
}
