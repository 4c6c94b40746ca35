// The pictures of panels.

import { useMemo } from "react";
import { alignSeries } from "../charts/align";
import { Sparkline } from "../charts/sparkline";
import { TimeSeries, type ChartLine } from "../charts/time-series";
import { openLogs } from "../explore/open-logs";
import { cssColor } from "../format/colors";
import { formatValue } from "../format/units";
import { LogView } from "../logs/log-view";
import { Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { useShared } from "../state";
import { formatTime } from "../time/range";
import { fieldFor, mapValue, reduce, thresholdColor, type FieldDefaults, type PanelModel } from "./model";
import type { Frame, PanelData } from "./panel";
import { Pie } from "./pie";
import { interpolate, type Scope } from "./variables";

interface PanelProps {
  panel: PanelModel;
  data: PanelData;
  height: number;
}

export function TimeSeriesPanel(props: PanelProps) {
  const shared = useShared();
  const { panel, data } = props;
  const [times, lines] = useMemo(() => chartLines(panel, data), [panel, data]);
  const legend = panel.options.legend as { showLegend?: boolean; displayMode?: string; calcs?: string[] } | undefined;
  const mode = legend?.showLegend === false || legend?.displayMode === "hidden" ? "hidden" : legend?.displayMode === "table" || (legend?.calcs?.length ?? 0) > 0 ? "table" : "list";
  const legendHeight = mode === "hidden" ? 0 : mode === "list" ? 28 : Math.min(8, lines.length + 1) * 21 + 6;
  const { defaults } = panel.fieldConfig;
  const style = (defaults.custom?.thresholdsStyle as { mode?: string } | undefined)?.mode ?? "off";
  return (
    <TimeSeries
      times={times}
      lines={lines}
      range={shared.resolved}
      height={Math.max(80, props.height - Math.min(legendHeight, props.height / 2))}
      unit={defaults.unit}
      decimals={defaults.decimals}
      min={defaults.min}
      max={defaults.max}
      legend={mode}
      legendCalcs={mode === "list" ? [] : legend?.calcs}
      thresholds={style === "off" ? [] : (defaults.thresholds?.steps ?? []).flatMap((step) => (step.value === null ? [] : [{ value: step.value, color: cssColor(step.color) ?? "red" }]))}
      spanGaps={defaults.custom?.spanNulls === true}
      axisLabel={typeof defaults.custom?.axisLabel === "string" && defaults.custom.axisLabel ? defaults.custom.axisLabel : undefined}
      onZoom={(from, to) => shared.setRange({ from: String(Math.round(from)), to: String(Math.round(to)) })}
      onZoomOut={shared.zoomOut}
      onLogs={openLogs}
    />
  );
}

function chartLines(panel: PanelModel, data: PanelData): [number[], ChartLine[]] {
  const [times, ...columns] = alignSeries(data.frames.map((frame) => frame.series), data.step);
  const lines = data.frames.map((frame, i): ChartLine => {
    const field = fieldFor(panel, frame.name, frame.refId);
    const { custom } = field;
    const interpolation = custom.lineInterpolation;
    return {
      name: field.displayName || frame.name,
      labels: frame.series.labels,
      values: columns[i]!,
      color: field.color?.mode === "fixed" ? cssColor(field.color.fixedColor) : undefined,
      unit: field.unit,
      fill: typeof custom.fillOpacity === "number" ? custom.fillOpacity : 8,
      width: typeof custom.lineWidth === "number" ? custom.lineWidth : 1.5,
      dash: (custom.lineStyle as { fill?: string } | undefined)?.fill === "dash" ? [6, 4] : undefined,
      draw: custom.drawStyle === "bars" ? "bars" : custom.drawStyle === "points" ? "points" : "line",
      step: interpolation === "stepBefore" ? "before" : interpolation === "stepAfter" ? "after" : undefined,
      negative: custom.transform === "negative-Y",
      stacked: (custom.stacking as { mode?: string } | undefined)?.mode === "normal",
    };
  });
  return [times, lines];
}

interface Reduced {
  key: string;
  name: string;
  value: number | null;
  text: string;
  color: string | undefined;
  field: FieldDefaults;
  values: number[];
}

function reduced(panel: PanelModel, frames: Frame[]): Reduced[] {
  const calcs = (panel.options.reduceOptions as { calcs?: string[] } | undefined)?.calcs;
  const calc = calcs?.[0] ?? "lastNotNull";
  return frames.map((frame, i) => {
    const field = fieldFor(panel, frame.name, frame.refId);
    const value = reduce(frame.series.values, calc);
    const mapping = mapValue(value, field.mappings);
    const { prefix, postfix } = panel.options as { prefix?: string; postfix?: string };
    return {
      key: `${frame.refId}/${frame.name}/${i}`,
      name: field.displayName || frame.name,
      value,
      text: `${prefix ?? ""}${mapping?.text ?? (value === null ? (field.noValue ?? "–") : formatValue(value, field.unit, field.decimals))}${postfix ?? ""}`,
      color: cssColor(mapping?.color ?? (field.color?.mode === "fixed" ? field.color.fixedColor : thresholdColor(value, field))),
      field,
      values: frame.series.values,
    };
  });
}

export function Stats(props: PanelProps) {
  const items = useMemo(() => reduced(props.panel, props.data.frames), [props.panel, props.data]);
  const { colorMode, graphMode, textMode } = props.panel.options as { colorMode?: string; graphMode?: string; textMode?: string };
  const background = colorMode === "background" || colorMode === "background_solid";
  const named = textMode === "value_and_name" || textMode === "name" || (textMode !== "value" && items.length > 1);
  return (
    <div className="stat-grid">
      {items.map((item) => (
        <div key={item.key} className={background ? "stat-cell filled" : "stat-cell"} style={background ? { background: item.color } : undefined}>
          {named && <span className="stat-name">{item.name}</span>}
          {textMode !== "name" && <strong style={!background && colorMode !== "none" ? { color: item.color } : undefined}>{item.text}</strong>}
          {graphMode === "area" && item.values.length > 1 && <Sparkline values={item.values} width={160} height={30} label={`${item.name} over time`} color={background ? "currentColor" : item.color} />}
        </div>
      ))}
    </div>
  );
}

export function Gauges(props: PanelProps) {
  const items = useMemo(() => reduced(props.panel, props.data.frames), [props.panel, props.data]);
  const bars = props.panel.type !== "gauge";
  const share = (item: Reduced) => {
    const min = item.field.min ?? 0;
    const max = item.field.max ?? Math.max(100, ...items.map((one) => one.value ?? 0));
    return Math.min(1, Math.max(0, ((item.value ?? min) - min) / (max - min || 1)));
  };
  if (bars) {
    return (
      <div className="bars">
        {items.map((item) => (
          <div key={item.key} className="bar-row">
            <span className="stat-name"><Shown text={item.name} /></span>
            <div className="bar" role="img" aria-label={`${item.name}: ${item.text}`}>
              <i style={{ width: `${share(item) * 100}%`, background: item.color ?? "var(--accent)" }} />
            </div>
            <b>{item.text}</b>
          </div>
        ))}
      </div>
    );
  }
  return (
    <div className="stat-grid">
      {items.map((item) => (
        <div key={item.key} className="gauge">
          <svg viewBox="0 0 120 70" role="img" aria-label={`${item.name}: ${item.text}`}>
            <path d={arc(0, 1)} className="gauge-track" />
            <path d={arc(0, share(item))} className="gauge-value" style={{ stroke: item.color ?? "var(--accent)" }} />
            <text x="60" y="60" textAnchor="middle">
              {item.text}
            </text>
          </svg>
          {items.length > 1 && <span className="stat-name">{item.name}</span>}
        </div>
      ))}
    </div>
  );
}

export function PiePanel(props: PanelProps) {
  const items = useMemo(() => reduced(props.panel, props.data.frames), [props.panel, props.data]);
  const slices = items.map((item) => ({
    key: item.key,
    name: item.name,
    value: item.value ?? 0,
    color: item.field.color?.mode === "fixed" ? item.field.color.fixedColor : undefined,
    unit: item.field.unit,
    decimals: item.field.decimals,
  }));
  return <Pie slices={slices} donut={props.panel.options.pieType === "donut"} height={props.height} />;
}

function arc(from: number, to: number): string {
  const point = (share: number) => {
    const angle = Math.PI * (1 - share);
    return `${(60 + 48 * Math.cos(angle)).toFixed(2)} ${(60 - 48 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M${point(from)}A48 48 0 0 1 ${point(to)}`;
}

export function TableResult(props: PanelProps) {
  const shared = useShared();
  const { panel, data } = props;
  const labels = [...new Set(data.frames.flatMap((frame) => Object.keys(frame.series.labels)))].filter((name) => name !== "__name__").sort();
  const refIds = [...new Set(data.frames.map((frame) => frame.refId))];
  // Rows of several queries with the same labels are one row with several values.
  const rows = new Map<string, { labels: Record<string, string>; time: number; values: Record<string, number> }>();
  for (const frame of data.frames) {
    const { __name__: _name, ...own } = frame.series.labels;
    const key = JSON.stringify(Object.entries(own).sort());
    const last = frame.series.values.length - 1;
    const row = rows.get(key) ?? { labels: own, time: frame.series.times[last] ?? 0, values: {} };
    row.values[frame.refId] = frame.series.values[last] ?? Number.NaN;
    rows.set(key, row);
  }
  const valueTitle = (refId: string) => (refIds.length > 1 ? `Value #${refId}` : "Value");
  return (
    <Table
      label={panel.title}
      rows={[...rows.values()]}
      rowKey={(_row, i) => String(i)}
      columns={[
        ...labels.map((label) => ({ title: label, by: (row: { labels: Record<string, string> }) => row.labels[label] ?? "", cell: (row: { labels: Record<string, string> }) => row.labels[label] ?? "" })),
        ...refIds.map((refId) => {
          const field = fieldFor(panel, valueTitle(refId), refId);
          return {
            title: field.displayName || valueTitle(refId),
            numeric: true,
            by: (row: { values: Record<string, number> }) => row.values[refId] ?? null,
            cell: (row: { values: Record<string, number> }) => {
              const value = row.values[refId] ?? null;
              const mapping = mapValue(value, field.mappings);
              return <span style={{ color: cssColor(mapping?.color) }}>{mapping?.text ?? formatValue(value, field.unit, field.decimals)}</span>;
            },
          };
        }),
        { title: "Time", by: (row) => row.time, cell: (row) => formatTime(row.time * 1000, shared.zone) },
      ]}
    />
  );
}

export function LogLines(props: PanelProps) {
  const shared = useShared();
  const { wrapLogMessage, sortOrder } = props.panel.options as { wrapLogMessage?: boolean; sortOrder?: string };
  const lines = sortOrder === "Ascending" ? [...props.data.lines].reverse() : props.data.lines;
  return <LogView lines={lines} range={shared.resolved} histogram={false} height={props.height} wrap={wrapLogMessage === true} />;
}

/** Text panels: Markdown's everyday forms, always as text; HTML in them is shown, not run. */
export function Text(props: { panel: PanelModel; scope: Scope }) {
  const content = interpolate(String(props.panel.options.content ?? ""), props.scope, "text");
  if (props.panel.options.mode === "code") return <pre className="raw"><Shown text={content} /></pre>;
  const blocks = content.replace(/<[^>]*>/g, "").split(/\n{2,}/);
  return (
    <div className="markdown">
      {blocks.map((block, i) => {
        const heading = /^(#{1,4})\s+(.*)$/s.exec(block.trim());
        if (heading) return <h3 key={i}>{inline(heading[2]!)}</h3>;
        const items = block.split("\n").filter((line) => /^\s*[-*]\s+/.test(line));
        if (items.length > 0 && items.length === block.trim().split("\n").length) {
          return (
            <ul key={i}>
              {items.map((item, j) => (
                <li key={j}>{inline(item.replace(/^\s*[-*]\s+/, ""))}</li>
              ))}
            </ul>
          );
        }
        return <p key={i}>{inline(block)}</p>;
      })}
    </div>
  );
}

function inline(text: string): React.ReactNode[] {
  const parts = text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/g);
  return parts.map((part, i) => {
    if (part.startsWith("**")) return <b key={i}><Shown text={part.slice(2, -2)} /></b>;
    if (part.startsWith("`")) return <code key={i}><Shown text={part.slice(1, -1)} /></code>;
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    if (link && /^(https?:|\/|[\w./-]+$)/i.test(link[2]!)) {
      return (
        <a key={i} href={link[2]} rel="noreferrer noopener" target="_blank">
          <Shown text={link[1]} />
        </a>
      );
    }
    return <Shown key={i} text={part} />;
  });
}
