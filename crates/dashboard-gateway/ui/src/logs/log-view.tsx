// Log lines: a histogram by level, a virtual list, details with filters, context.

import { useEffect, useMemo, useRef, useState } from "react";
import type { LogLine } from "../api/loki";
import { TimeSeries } from "../charts/time-series";
import { useShared } from "../state";
import { formatTime, type ResolvedRange } from "../time/range";
import { stripColours } from "../format/text";
import { Shown } from "../parts/shown";
import { LEVELS, levelHistogram, levelOf, type Level } from "./level";
import { LineText } from "./line-text";

export interface LogRow extends LogLine {
  key: string;
  level: Level;
}

export function toRows(lines: LogLine[]): LogRow[] {
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const base = `${line.ns}/${line.text.length}`;
    const copy = seen.get(base) ?? 0;
    seen.set(base, copy + 1);
    return { ...line, key: `${base}/${copy}`, level: levelOf(line) };
  });
}

export interface LogFilter {
  name: string;
  value: string;
  out: boolean;
  isLabel: boolean;
}

interface LogViewProps {
  lines: LogLine[];
  range: ResolvedRange;
  patterns?: string[];
  histogram?: boolean;
  height?: number;
  follow?: boolean;
  wrap?: boolean;
  columns?: string[];
  onFilter?: (filter: LogFilter) => void;
  onZoom?: (from: number, to: number) => void;
  onContext?: (line: LogLine) => void;
  onMetrics?: (line: LogLine) => void;
}

const ROW_HEIGHT = 20;
const OVERSCAN = 20;

export function LogView(props: LogViewProps) {
  const rows = useMemo(() => toRows(props.lines), [props.lines]);
  return (
    <div className="logs">
      {props.histogram !== false && rows.length > 0 && <LevelChart rows={rows} range={props.range} onZoom={props.onZoom} />}
      <RowList {...props} rows={rows} />
    </div>
  );
}

function LevelChart(props: { rows: LogRow[]; range: ResolvedRange; onZoom?: (from: number, to: number) => void }) {
  const buckets = useMemo(() => levelHistogram(props.rows, props.range.from, props.range.to, 90), [props.rows, props.range]);
  const present = LEVELS.filter((level) => props.rows.some((row) => row.level === level));
  const css = getComputedStyle(document.documentElement);
  const lines = [...present].reverse().map((level) => ({
    name: level,
    labels: { level },
    values: buckets.map((bucket) => bucket.counts[level] || null),
    color: css.getPropertyValue(`--level-${level}`).trim(),
    draw: "bars" as const,
    fill: 70,
    stacked: true,
  }));
  // Stacked sums are drawn from the highest to the lowest, so that the lower ones stay visible.
  return (
    <TimeSeries times={buckets.map((b) => b.time)} lines={lines} range={props.range} height={90} legend="list" legendCalcs={["sum"]} unit="short" onZoom={props.onZoom} />
  );
}

function RowList(props: LogViewProps & { rows: LogRow[] }) {
  const { rows, height = 480 } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [open, setOpen] = useState<string | undefined>();
  const [following, setFollowing] = useState(true);
  const wrap = props.wrap ?? false;

  useEffect(() => {
    if (props.follow && following && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, [rows, props.follow, following]);

  // With one row open, or with wrapping, heights differ: then a bounded slice is laid out whole.
  const uniform = !wrap && open === undefined;
  const first = uniform ? Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN) : 0;
  const last = uniform ? Math.min(rows.length, Math.ceil((top + height) / ROW_HEIGHT) + OVERSCAN) : Math.min(rows.length, 2000);
  const slice = rows.slice(first, last);

  const onScroll = (event: React.UIEvent<HTMLDivElement>) => {
    const element = event.currentTarget;
    setTop(element.scrollTop);
    if (props.follow) setFollowing(element.scrollTop + element.clientHeight >= element.scrollHeight - 30);
  };

  if (rows.length === 0) return null;
  return (
    <div className="log-rows" ref={scroller} style={{ maxHeight: height }} onScroll={onScroll} tabIndex={0} role="region" aria-label="Log lines">
      <div style={{ height: first * ROW_HEIGHT }} />
      {slice.map((row) => (
        <LogLineRow key={row.key} row={row} {...props} wrap={wrap} open={open === row.key} onToggle={() => setOpen(open === row.key ? undefined : row.key)} />
      ))}
      <div style={{ height: uniform ? (rows.length - last) * ROW_HEIGHT : 0 }} />
      {props.follow && !following && (
        <button type="button" className="log-resume" onClick={() => setFollowing(true)}>
          Paused: go to the newest line
        </button>
      )}
    </div>
  );
}

function LogLineRow(props: LogViewProps & { row: LogRow; wrap: boolean; open: boolean; onToggle: () => void }) {
  const { zone } = useShared();
  const { row, open } = props;
  const source = row.labels.containers ?? row.labels.container ?? row.labels.job ?? row.labels.filename ?? "";
  return (
    <div className={`log-row level-${row.level}${props.wrap || open ? " wrapped" : ""}`}>
      <button type="button" className="plain log-line" onClick={props.onToggle} aria-expanded={open}>
        <span className="log-level" title={row.level} aria-label={row.level} />
        <time>{formatTime(row.ms, zone, true).slice(5)}</time>
        {source && <span className="log-source"><Shown text={source} /></span>}
        {props.columns?.map((column) => (
          <span key={column} className="log-column">
            <Shown text={row.fields[column] ?? row.labels[column] ?? ""} />
          </span>
        ))}
        <span className="log-text">
          <LineText text={row.text} patterns={props.patterns ?? []} whole={open} />
        </span>
      </button>
      {open && <Details {...props} />}
    </div>
  );
}

function Details(props: LogViewProps & { row: LogRow }) {
  const { row } = props;
  const pretty = prettyJson(row.text);
  const pairs = [
    ...Object.entries(row.labels).map(([name, value]) => ({ name, value, isLabel: true })),
    ...Object.entries(row.fields).map(([name, value]) => ({ name, value, isLabel: false })),
  ];
  return (
    <div className="log-details">
      {pretty && <pre><Shown text={pretty} /></pre>}
      <table>
        <tbody>
          {pairs.map(({ name, value, isLabel }) => (
            <tr key={`${isLabel}/${name}`}>
              <td className="actions">
                {props.onFilter && (
                  <>
                    <button type="button" title="Show only lines with this value" aria-label={`Filter for ${name}`} onClick={() => props.onFilter!({ name, value, isLabel, out: false })}>
                      =
                    </button>
                    <button type="button" title="Hide lines with this value" aria-label={`Filter out ${name}`} onClick={() => props.onFilter!({ name, value, isLabel, out: true })}>
                      ≠
                    </button>
                  </>
                )}
              </td>
              <th scope="row"><Shown text={name} /></th>
              <td><Shown text={value} /></td>
              <td className="muted">{isLabel ? "label" : "field"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="row-actions">
        <button type="button" onClick={() => void navigator.clipboard?.writeText(row.text)}>
          Copy line
        </button>
        {props.onContext && (
          <button type="button" onClick={() => props.onContext!(row)}>
            Context: 50 lines either side
          </button>
        )}
        {props.onMetrics && (
          <button type="button" onClick={() => props.onMetrics!(row)}>
            Metrics of this container then
          </button>
        )}
      </p>
    </div>
  );
}

function prettyJson(text: string): string | undefined {
  const trimmed = stripColours(text).trim();
  if (!trimmed.startsWith("{") || trimmed.length > 100_000) return undefined;
  try {
    return JSON.stringify(JSON.parse(trimmed), null, 2);
  } catch {
    return undefined;
  }
}

/** What a download holds. */
export function downloadLines(lines: LogLine[], format: "txt" | "ndjson" | "csv") {
  const quote = (text: string) => `"${text.replace(/"/g, '""')}"`;
  const content =
    format === "txt"
      ? lines.map((line) => line.text).join("\n")
      : format === "ndjson"
        ? lines.map((line) => JSON.stringify({ time: line.ns, labels: line.labels, fields: line.fields, line: line.text })).join("\n")
        : ["time,labels,line", ...lines.map((line) => [line.ns, quote(JSON.stringify(line.labels)), quote(line.text)].join(","))].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content, "\n"], { type: "text/plain" }));
  link.download = `logs.${format}`;
  link.click();
  URL.revokeObjectURL(link.href);
}
