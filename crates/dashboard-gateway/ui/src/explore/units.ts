// What unit a result probably has, by the name of its metric.

import type { QueryResult } from "../api/prometheus";

export function guessUnit(result: QueryResult, query: string): string {
  const name = result.series[0]?.labels.__name__ ?? /([a-zA-Z_:][\w:]*)\s*[{[]/.exec(query)?.[1] ?? "";
  const rate = /\b(rate|irate)\s*\(/.test(query);
  if (/_bytes(_total)?$/.test(name)) return rate ? "Bps" : "bytes";
  if (/_seconds$/.test(name) && !/time_seconds$/.test(name) && !rate) return "s";
  return "short";
}
