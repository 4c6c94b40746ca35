// Log lines: a histogram by level above, the list below.

import { useMemo } from "react";
import type { LogLine } from "../api/loki";
import { TimeSeries } from "../charts/time-series";
import type { ResolvedRange } from "../time/range";
import { LEVELS, levelHistogram } from "./level";
import { RowList } from "./row-list";
import { fold, toRows, type Dedupe, type LogRow } from "./rows";

export interface LogFilter {
  name: string;
  value: string;
  out: boolean;
  isLabel: boolean;
}

export interface LogViewProps {
  lines: LogLine[];
  range: ResolvedRange;
  patterns?: string[];
  histogram?: boolean;
  height?: number;
  follow?: boolean;
  wrap?: boolean;
  dedupe?: Dedupe;
  columns?: string[];
  onColumns?: (columns: string[]) => void;
  onFilter?: (filter: LogFilter) => void;
  onZoom?: (from: number, to: number) => void;
}

export function LogView(props: LogViewProps) {
  const rows = useMemo(() => toRows(props.lines), [props.lines]);
  const shown = useMemo(() => fold(rows, props.dedupe ?? "none"), [rows, props.dedupe]);
  return (
    <div className="logs">
      {props.histogram !== false && rows.length > 0 && <LevelChart rows={rows} range={props.range} onZoom={props.onZoom} />}
      {props.columns && props.columns.length > 0 && <Columns {...props} />}
      <RowList {...props} rows={shown} />
    </div>
  );
}

function Columns(props: LogViewProps) {
  return (
    <p className="row-actions muted">
      Columns
      {props.columns!.map((column) => (
        <button key={column} type="button" aria-label={`Remove the column ${column}`} onClick={() => props.onColumns?.(props.columns!.filter((one) => one !== column))}>
          {column} ×
        </button>
      ))}
    </p>
  );
}

function LevelChart(props: { rows: LogRow[]; range: ResolvedRange; onZoom?: (from: number, to: number) => void }) {
  const buckets = useMemo(() => levelHistogram(props.rows, props.range.from, props.range.to, 90), [props.rows, props.range]);
  const present = LEVELS.filter((level) => props.rows.some((row) => row.level === level));
  const css = getComputedStyle(document.documentElement);
  // The worst level is on top of the stack.
  const lines = present.map((level) => ({
    name: level,
    labels: { level },
    values: buckets.map((bucket) => bucket.counts[level] || null),
    color: css.getPropertyValue(`--level-${level}`).trim(),
    draw: "bars" as const,
    width: 0,
    fill: 100,
    stacked: true,
  }));
  return (
    <TimeSeries times={buckets.map((b) => b.time)} lines={lines} range={props.range} height={90} legend="list" legendCalcs={["sum"]} unit="short" onZoom={props.onZoom} marks={[]} />
  );
}
