// Rows of the log list: lines with a key and a level, repeated ones folded into one.

import type { LogLine } from "../api/loki";
import { stripColours } from "../format/text";
import { levelOf, type Level } from "./level";

export interface LogRow extends LogLine {
  key: string;
  level: Level;
  /** How many lines this row stands for. */
  count: number;
}

export const DEDUPE = ["none", "exact", "numbers"] as const;
export type Dedupe = (typeof DEDUPE)[number];

export function toRows(lines: LogLine[]): LogRow[] {
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const base = `${line.ns}/${line.text.length}`;
    const copy = seen.get(base) ?? 0;
    seen.set(base, copy + 1);
    return { ...line, key: `${base}/${copy}`, level: levelOf(line), count: 1 };
  });
}

/** Neighbours that say the same (with `numbers`: but for digits) become one row that counts them. */
export function fold(rows: LogRow[], how: Dedupe): LogRow[] {
  if (how === "none") return rows;
  const same = (text: string) => (how === "exact" ? text : stripColours(text).replace(/\d+/g, "0"));
  const out: LogRow[] = [];
  let last = "";
  for (const row of rows) {
    const signature = `${row.level}\u0000${JSON.stringify(row.labels)}\u0000${same(row.text)}`;
    const before = out[out.length - 1];
    if (before && signature === last) out[out.length - 1] = { ...before, count: before.count + 1 };
    else out.push(row);
    last = signature;
  }
  return out;
}

export interface ValueShare {
  value: string;
  count: number;
  share: number;
}

/** How often each value of a label or field stands in the lines at hand, most frequent first. */
export function statistics(lines: LogLine[], name: string): { values: ValueShare[]; withField: number; distinct: number } {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const value = line.fields[name] ?? line.labels[name];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const withField = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const values = [...counts].map(([value, count]) => ({ value, count, share: count / withField })).sort((a, b) => b.count - a.count);
  return { values: values.slice(0, 8), withField, distinct: counts.size };
}

/** A JSON line over several lines, sorted as it was written; undefined where the line is no JSON object. */
export function prettyJson(text: string): string | undefined {
  const trimmed = stripColours(text).trim();
  if (!trimmed.startsWith("{") || trimmed.length > 100_000) return undefined;
  try {
    return JSON.stringify(JSON.parse(trimmed), null, 2);
  } catch {
    return undefined;
  }
}
