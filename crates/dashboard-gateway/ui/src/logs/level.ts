// A line's level: from its labels and fields, else from its text.

import type { LogLine } from "../api/loki";
import { stripColours } from "../format/text";

export const LEVELS = ["critical", "error", "warn", "info", "debug", "unknown"] as const;
export type Level = (typeof LEVELS)[number];

const NAMES: Record<string, Level> = {
  critical: "critical", crit: "critical", fatal: "critical", emerg: "critical", alert: "critical", panic: "critical",
  error: "error", err: "error", eror: "error", severe: "error",
  warn: "warn", warning: "warn",
  info: "info", information: "info", notice: "info",
  debug: "debug", dbg: "debug", trace: "debug", verbose: "debug",
};

const KEYS = ["detected_level", "level", "severity", "lvl", "loglevel"];
const IN_TEXT = /\b(?:level|lvl|severity)["']?\s*[=:]\s*["']?([a-z]+)|(?:^|[\s[(|<])(fatal|panic|critical|crit|emerg|error|err|warning|warn|info|notice|debug|trace)(?=$|[\s\]):|>,.])/i;

export function levelOf(line: LogLine): Level {
  for (const key of KEYS) {
    const value = line.fields[key] ?? line.labels[key];
    const known = value && NAMES[value.toLowerCase()];
    if (known) return known;
  }
  const match = IN_TEXT.exec(stripColours(line.text.slice(0, 400)));
  return NAMES[(match?.[1] ?? match?.[2] ?? "").toLowerCase()] ?? "unknown";
}

export interface LevelBucket {
  /** Seconds. */
  time: number;
  counts: Record<Level, number>;
}

/** Lines per level and time, about `buckets` of them over the range. */
export function levelHistogram(lines: { ms: number; level: Level }[], from: number, to: number, buckets: number): LevelBucket[] {
  const width = Math.max(1000, (to - from) / buckets);
  const out: LevelBucket[] = Array.from({ length: Math.max(1, Math.ceil((to - from) / width)) }, (_, i) => ({
    time: (from + i * width) / 1000,
    counts: { critical: 0, error: 0, warn: 0, info: 0, debug: 0, unknown: 0 },
  }));
  for (const line of lines) {
    const bucket = out[Math.floor((line.ms - from) / width)];
    if (bucket) bucket.counts[line.level] += 1;
  }
  return out;
}

/** Parts of a text, with those that match marked; bad or empty patterns mark nothing. */
export function markMatches(text: string, patterns: string[]): { text: string; hit: boolean }[] {
  const usable = patterns.filter((pattern) => pattern !== "");
  if (usable.length === 0) return [{ text, hit: false }];
  let regex: RegExp;
  try {
    regex = new RegExp(usable.map((pattern) => `(?:${pattern})`).join("|"), "g");
  } catch {
    return [{ text, hit: false }];
  }
  const parts: { text: string; hit: boolean }[] = [];
  let at = 0;
  for (const match of text.matchAll(regex)) {
    if (match[0] === "" || parts.length > 200) continue;
    if (match.index > at) parts.push({ text: text.slice(at, match.index), hit: false });
    parts.push({ text: match[0], hit: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at), hit: false });
  return parts;
}

/** The literal and regex filters of a LogQL query, as JavaScript patterns: what to mark in the lines. */
export function filterPatterns(query: string): string[] {
  const patterns: string[] = [];
  for (const [, op, quoted, raw] of query.matchAll(/\|(=|~)\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g)) {
    const value = quoted !== undefined ? quoted.replace(/\\(.)/g, "$1") : raw!;
    patterns.push(op === "=" ? value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : value.replace(/^\(\?i\)/, ""));
  }
  return patterns;
}
