// Changes to a LogQL query that come from a click.

import type { LogFilter } from "../logs/log-view";

/** The first selector of a query; braces in its values do not end it. */
const SELECTOR = /\{((?:[^{}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*)\}/;

/** The query with one more label matcher or label filter. */
export function withFilter(query: string, filter: LogFilter): string {
  const op = filter.out ? "!=" : "=";
  const matcher = `${filter.name}${op}${JSON.stringify(filter.value)}`;
  if (filter.isLabel) return query.replace(SELECTOR, (_, inner: string) => `{${inner.trim() ? `${inner.trim()}, ` : ""}${matcher}}`);
  // In a metric query the filter stands before the range.
  const range = /\s*\[[^\]]*\]/.exec(query);
  if (range) return `${query.slice(0, range.index)} | ${matcher} ${query.slice(range.index).trimStart()}`;
  return `${query} | ${matcher}`;
}
