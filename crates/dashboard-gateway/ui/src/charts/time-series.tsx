// A line, bar or point chart over time with its legend table, tooltip and shared crosshair.

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { LabelSet } from "../api/prometheus";
import { stylesFor, type SeriesStyle } from "../format/colors";
import { visible } from "../format/text";
import { formatValue } from "../format/units";
import { useShared, useWidth } from "../state";
import { formatTime, type ResolvedRange } from "../time/range";
import { useAlertMarks } from "./alert-marks";
import { stack, summarize, type Summary } from "./align";
import { Legend, type LegendRow } from "./legend";

export interface ChartLine {
  name: string;
  labels: LabelSet;
  values: (number | null)[];
  color?: string;
  unit?: string;
  fill?: number;
  width?: number;
  dash?: number[];
  draw?: "line" | "bars" | "points";
  step?: "before" | "after";
  negative?: boolean;
  stacked?: boolean;
}

export interface Threshold {
  value: number;
  color: string;
}

export interface ChartMark {
  /** Seconds. */
  time: number;
  text: string;
  color: string;
}

export interface TimeSeriesProps {
  times: number[];
  lines: ChartLine[];
  range: ResolvedRange;
  height: number;
  unit?: string;
  decimals?: number | null;
  min?: number;
  max?: number;
  legend?: "table" | "list" | "hidden";
  legendCalcs?: string[];
  legendSort?: keyof Summary;
  thresholds?: Threshold[];
  marks?: ChartMark[];
  spanGaps?: boolean;
  /** The label of the value axis. */
  axisLabel?: string;
  onZoom?: (from: number, to: number) => void;
  onZoomOut?: () => void;
  /** Shift-drag: the logs of these series in that window. */
  onLogs?: (from: number, to: number, labels: LabelSet[]) => void;
}

const SERIES_MAX = 50;
const TOOLTIP_ROWS_MAX = 20;
const MARK_REACH_PX = 6;
const crosshair = uPlot.sync("page");

export function TimeSeries(props: TimeSeriesProps) {
  const { theme, zone } = useShared();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const shown = useMemo(() => props.lines.slice(0, SERIES_MAX), [props.lines]);
  const styles = useMemo(() => stylesFor(shown.map((line) => line.name), theme === "dark"), [shown, theme]);
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const tooltip = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const alertMarks = useAlertMarks();
  const marks = props.marks ?? alertMarks;
  const latest = useRef({ ...props, marks });
  latest.current = { ...props, marks };

  const data = useMemo(() => chartData(props.times, shown), [props.times, shown]);
  const shape = JSON.stringify([shown.map((l) => [l.name, l.draw, l.fill, l.dash, l.color, l.stacked]), props.unit, props.axisLabel, props.min, props.max]);

  useEffect(() => {
    if (!canvas.current || width < 40) return undefined;
    const options = chartOptions({ ...latest.current, lines: shown }, styles, width, theme, zone, tooltip, latest);
    const plot = new uPlot(options, data as uPlot.AlignedData, canvas.current);
    shown.forEach((line, i) => plot.setSeries(i + 1, { show: !hidden.has(line.name) }));
    return () => plot.destroy();
    // The plot is made anew when its shape changes; the data of a refresh is cheap enough to go the same way.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [data, shape, width, theme, zone, hidden, props.range.from, props.range.to, props.height, marks]);

  const rows: LegendRow[] = shown.map((line, i) => ({
    name: line.name,
    color: line.color ?? styles[i]!.color,
    dash: styles[i]!.dash.length > 0,
    summary: summarize(line.values),
    unit: line.unit ?? props.unit,
    hidden: hidden.has(line.name),
  }));

  const isolate = (name: string, toggle: boolean) => {
    setHidden((old) => {
      const others = shown.map((line) => line.name).filter((other) => other !== name);
      if (toggle) {
        const next = new Set(old);
        if (!next.delete(name)) next.add(name);
        return next;
      }
      const isolated = !old.has(name) && others.every((other) => old.has(other));
      return isolated ? new Set() : new Set(others);
    });
  };

  return (
    <div className="chart" ref={host} onDoubleClick={props.onZoomOut}>
      <div className="chart-plot" ref={canvas} style={{ height: props.height }} />
      <div className="chart-tooltip" ref={tooltip} hidden />
      {props.legend !== "hidden" && (
        <Legend rows={rows} more={props.lines.length - shown.length} mode={props.legend ?? "table"} calcs={props.legendCalcs} sortBy={props.legendSort} decimals={props.decimals} onClick={isolate} />
      )}
    </div>
  );
}

function chartData(times: number[], lines: ChartLine[]): (number | null)[][] {
  const signed = lines.map((line) => (line.negative ? line.values.map((value) => (value === null ? null : -value)) : line.values));
  const stackedIndexes = lines.flatMap((line, i) => (line.stacked ? [i] : []));
  // Bars are opaque: the sum of all is drawn first, the lowest part over it.
  if (stackedIndexes.length > 0 && lines[stackedIndexes[0]!]!.draw === "bars") stackedIndexes.reverse();
  const sums = stack(stackedIndexes.map((i) => signed[i]!));
  stackedIndexes.forEach((index, i) => (signed[index] = sums[i]!));
  return [times, ...signed];
}

function chartOptions(
  props: TimeSeriesProps,
  styles: SeriesStyle[],
  width: number,
  theme: string,
  zone: string | undefined,
  tooltip: React.RefObject<HTMLDivElement | null>,
  latest: React.RefObject<TimeSeriesProps>,
): uPlot.Options {
  const css = getComputedStyle(document.documentElement);
  const muted = css.getPropertyValue("--muted").trim();
  const grid = css.getPropertyValue("--grid").trim();
  const axis = { stroke: muted, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, font: "11px system-ui" };
  return {
    width,
    height: props.height,
    tzDate: zone ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone) : undefined,
    cursor: { y: false, sync: { key: crosshair.key }, drag: { x: true, y: false, setScale: false }, focus: { prox: 24 }, points: { size: 5 } },
    legend: { show: false },
    padding: [8, 12, 0, 0],
    scales: {
      x: { time: true, range: () => [props.range.from / 1000, props.range.to / 1000] },
      y: { range: (_plot, low, high) => valueRange(props, low, high) },
    },
    axes: [
      { ...axis, size: 26, space: 80, values: (_plot, splits, _axis, _space, increment) => timeTicks(splits, increment, zone) },
      {
        ...axis,
        size: (_plot, values) => Math.max(44, ...(values ?? []).map((value) => String(value).length * 6.6 + 12)),
        values: (_plot, splits) => splits.map((split) => formatValue(split, props.unit, null)),
        label: props.axisLabel,
        labelSize: props.axisLabel ? 16 : 0,
        labelFont: "11px system-ui",
        space: 28,
        incrs: isBinary(props.unit) ? BINARY_INCREMENTS : undefined,
      },
    ],
    series: [{}, ...props.lines.map((line, i) => lineOptions(line, styles[i]!, props.spanGaps ?? false))],
    hooks: {
      draw: [(plot) => drawOverlays(plot, props)],
      setCursor: [(plot) => showTooltip(plot, latest.current, styles, tooltip.current, zone)],
      setSelect: [
        (plot) => {
          const { left, width: selected } = plot.select;
          if (selected < 4) return;
          const from = plot.posToVal(left, "x") * 1000;
          const to = plot.posToVal(left + selected, "x") * 1000;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          const now = latest.current;
          const event = plot.root.dataset.shift === "1";
          if (event && now.onLogs) now.onLogs(from, to, now.lines.map((line) => line.labels));
          else now.onZoom?.(from, to);
        },
      ],
      ready: [
        (plot) => {
          plot.over.addEventListener("mousedown", (event) => (plot.root.dataset.shift = event.shiftKey ? "1" : "0"));
          plot.root.dataset.theme = theme;
        },
      ],
    },
  };
}

/** Ticks at 1, 2, 4 … of a binary unit. */
const BINARY_INCREMENTS = Array.from({ length: 52 }, (_, power) => 2 ** power);

function isBinary(unit: string | undefined): boolean {
  return unit === "bytes" || unit === "binBps";
}

/** Hours and minutes; the date where a day begins, seconds only where ticks are closer than a minute. */
function timeTicks(splits: number[], increment: number, zone: string | undefined): string[] {
  return splits.map((seconds) => {
    const text = formatTime(seconds * 1000, zone);
    const [date, time] = [text.slice(5, 10), text.slice(11)];
    if (increment >= 86_400 || time === "00:00:00") return date;
    return increment < 60 ? time : time.slice(0, 5);
  });
}

const bars = uPlot.paths.bars?.({ size: [0.8, 40], align: 1 });
const before = uPlot.paths.stepped?.({ align: -1 });
const after = uPlot.paths.stepped?.({ align: 1 });

function lineOptions(line: ChartLine, style: SeriesStyle, spanGaps: boolean): uPlot.Series {
  const color = line.color ?? style.color;
  const fill = line.fill ?? 8;
  return {
    label: line.name,
    stroke: color,
    width: line.draw === "points" ? 0 : (line.width ?? 1.5),
    dash: line.dash ?? style.dash,
    fill: fill > 0 ? withAlpha(color, fill / 100) : undefined,
    spanGaps,
    paths: line.draw === "bars" ? bars : line.step === "before" ? before : line.step === "after" ? after : undefined,
    points: { show: line.draw === "points" ? true : undefined, size: 4 },
  };
}

/** Axes start at 0 for what cannot be negative in a picture: bytes, percent, rates. */
function valueRange(props: TimeSeriesProps, low: number | null, high: number | null): [number, number] {
  let bottom = props.min ?? (low === null ? 0 : Math.min(0, low));
  let top = props.max ?? (high === null ? 1 : Math.max(high, ...(props.thresholds ?? []).map((t) => t.value).filter((v) => v < high * 3)));
  if (top <= bottom) top = bottom + (Math.abs(bottom) || 1);
  if (props.max === undefined) top += (top - bottom) * 0.06;
  if (props.min === undefined && bottom < 0) bottom -= (top - bottom) * 0.06;
  return [bottom, top];
}

function drawOverlays(plot: uPlot, props: TimeSeriesProps) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6, 4]);
  for (const threshold of props.thresholds ?? []) {
    const y = plot.valToPos(threshold.value, "y", true);
    ctx.strokeStyle = threshold.color;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  }
  for (const mark of props.marks ?? []) {
    const x = plot.valToPos(mark.time, "x", true);
    ctx.strokeStyle = mark.color;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
  }
  ctx.restore();
}

function showTooltip(plot: uPlot, props: TimeSeriesProps, styles: SeriesStyle[], element: HTMLDivElement | null, zone: string | undefined) {
  const { idx, left, top } = plot.cursor;
  if (!element) return;
  const inside = plot.root.matches(":hover") && idx !== null && idx !== undefined && (left ?? -1) >= 0;
  element.hidden = !inside;
  if (!inside) return;
  const lines = props.lines.slice(0, SERIES_MAX);
  const rows = lines
    .map((line, i) => ({ line, style: styles[i], value: line.values[idx] ?? null, drawn: plot.data[i + 1]?.[idx] ?? null, on: plot.series[i + 1]?.show }))
    .filter((row) => row.value !== null && row.on)
    .sort((a, b) => b.value! - a.value!);
  const pointer = plot.posToVal(top ?? 0, "y");
  const nearest = rows.reduce<(typeof rows)[number] | undefined>(
    (best, row) => (best === undefined || Math.abs(row.drawn! - pointer) < Math.abs(best.drawn! - pointer) ? row : best),
    undefined,
  );
  const head = document.createElement("div");
  head.className = "tooltip-time";
  head.textContent = formatTime((plot.data[0][idx] ?? 0) * 1000, zone);
  const listed = rows.slice(0, TOOLTIP_ROWS_MAX);
  if (nearest && !listed.includes(nearest)) listed[listed.length - 1] = nearest;
  const items = listed.map((row) => {
    const item = document.createElement("div");
    item.className = row === nearest ? "tooltip-row nearest" : "tooltip-row";
    const swatch = document.createElement("i");
    swatch.style.background = row.line.color ?? row.style?.color ?? "";
    const name = document.createElement("span");
    name.textContent = visible(row.line.name);
    const value = document.createElement("b");
    value.textContent = formatValue(row.value, row.line.unit ?? props.unit, props.decimals);
    item.append(swatch, name, value);
    return item;
  });
  element.replaceChildren(head, ...items);
  const note = (textContent: string) => element.append(Object.assign(document.createElement("div"), { className: "tooltip-time", textContent }));
  if (rows.length > TOOLTIP_ROWS_MAX) note(`+${rows.length - TOOLTIP_ROWS_MAX} more`);
  const near = (props.marks ?? []).filter((mark) => Math.abs(plot.valToPos(mark.time, "x") - (left ?? 0)) < MARK_REACH_PX);
  for (const mark of near.slice(0, 5)) note(`${formatTime(mark.time * 1000, zone).slice(11)} ${visible(mark.text)}`);
  const offset = plot.over.offsetLeft + (left ?? 0);
  const flip = offset > plot.root.clientWidth / 2;
  element.style.left = flip ? "" : `${offset + 14}px`;
  element.style.right = flip ? `${plot.root.clientWidth - offset + 14}px` : "";
  element.style.top = "8px";
}

function withAlpha(color: string, alpha: number): string {
  if (!/^#[0-9a-fA-F]{6}$/.test(color)) return color;
  return color + Math.round(Math.min(1, alpha) * 255).toString(16).padStart(2, "0");
}
