// Series of histogram buckets as cells of a heat map.

export interface HeatRow {
  name: string;
  /** By column; null where there was no sample. */
  values: (number | null)[];
}

const bound = (le: string | undefined): number => (le === undefined ? Number.NaN : le === "+Inf" ? Infinity : Number(le));

/** Rows from the lowest bucket to the highest; cumulative buckets (with `le`) become what lies between two bounds. */
export function heatRows(series: { name: string; le: string | undefined; values: (number | null)[] }[]): HeatRow[] {
  const buckets = series.length > 0 && series.every((one) => !Number.isNaN(bound(one.le)));
  if (!buckets) return series.map(({ name, values }) => ({ name, values }));
  const sorted = [...series].sort((a, b) => bound(a.le) - bound(b.le));
  return sorted.map((one, i) => ({
    name: one.le ?? one.name,
    values: one.values.map((value, column) => (value === null ? null : Math.max(0, value - (i > 0 ? (sorted[i - 1]!.values[column] ?? 0) : 0)))),
  }));
}

/** How strongly a cell is coloured, 0 to 1: the root, so that rare values are seen too. */
export function strength(value: number | null, max: number): number {
  return value === null || value <= 0 || max <= 0 ? 0 : 0.12 + 0.88 * Math.sqrt(value / max);
}
