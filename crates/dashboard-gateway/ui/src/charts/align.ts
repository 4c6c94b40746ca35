// Series with their own times become columns over one time axis; gaps stay gaps.

import type { Series } from "../api/prometheus";

/** One shared, sorted time axis (seconds) and a value or null per series and time. */
export function alignSeries(series: Series[], step?: number): [number[], ...(number | null)[][]] {
  const seen = new Set<number>();
  for (const one of series) for (const time of one.times) seen.add(time);
  let times = [...seen].sort((a, b) => a - b);
  if (step && times.length > 1) times = withGaps(times, step);
  const index = new Map(times.map((time, i) => [time, i]));
  const columns = series.map((one) => {
    const column = new Array<number | null>(times.length).fill(null);
    one.times.forEach((time, i) => {
      const value = one.values[i]!;
      column[index.get(time)!] = Number.isFinite(value) ? value : null;
    });
    return column;
  });
  return [times, ...columns];
}

/** Adds one empty time where no series has a value for longer than a step, so that no line bridges it. */
function withGaps(times: number[], step: number): number[] {
  const out: number[] = [];
  times.forEach((time, i) => {
    const before = times[i - 1];
    if (before !== undefined && time - before > step * 1.5) out.push(before + step);
    out.push(time);
  });
  return out;
}

export interface Summary {
  last: number | null;
  avg: number | null;
  min: number | null;
  max: number | null;
  total: number | null;
  count: number;
}

export function summarize(values: readonly (number | null)[]): Summary {
  let last: number | null = null;
  let min = Infinity;
  let max = -Infinity;
  let total = 0;
  let count = 0;
  for (const value of values) {
    if (value === null || Number.isNaN(value)) continue;
    last = value;
    min = Math.min(min, value);
    max = Math.max(max, value);
    total += value;
    count += 1;
  }
  if (count === 0) return { last: null, avg: null, min: null, max: null, total: null, count };
  return { last, avg: total / count, min, max, total, count };
}

/** Columns summed up from the first to each: what a stacked chart draws. */
export function stack(columns: (number | null)[][]): (number | null)[][] {
  const sums = new Array<number>(columns[0]?.length ?? 0).fill(0);
  return columns.map((column) => column.map((value, i) => (value === null ? null : (sums[i] = sums[i]! + value))));
}
