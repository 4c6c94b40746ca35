// A heat map: time to the right, buckets upwards, colour by how much.

import { useEffect, useMemo, useRef, useState } from "react";
import { alignSeries } from "../charts/align";
import { visible } from "../format/text";
import { formatValue } from "../format/units";
import { useShared, useWidth } from "../state";
import { formatTime } from "../time/range";
import { heatRows, strength } from "./heat";
import type { PanelModel } from "./model";
import type { PanelData } from "./panel";

const AXIS_PX = 70;
const FOOT_PX = 20;

export function HeatMap(props: { panel: PanelModel; data: PanelData; height: number }) {
  const { zone, theme, resolved } = useShared();
  const { data, height } = props;
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(host);
  const [tip, setTip] = useState("");
  const { unit } = props.panel.fieldConfig.defaults;
  const [times, rows] = useMemo(() => {
    const [axis, ...columns] = alignSeries(data.frames.map((frame) => frame.series));
    return [axis, heatRows(data.frames.map((frame, i) => ({ name: frame.name, le: frame.series.labels.le, values: columns[i]! })))];
  }, [data]);
  const max = useMemo(() => rows.reduce((most, row) => row.values.reduce<number>((m, value) => Math.max(m, value ?? 0), most), 0), [rows]);
  const [from, to] = [resolved.from / 1000, resolved.to / 1000];
  const plotWidth = Math.max(10, width - AXIS_PX);
  const plotHeight = Math.max(20, height - FOOT_PX);
  const rowHeight = plotHeight / Math.max(1, rows.length);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || width < 20) return;
    const ratio = devicePixelRatio;
    canvas.current!.width = width * ratio;
    canvas.current!.height = height * ratio;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    const css = getComputedStyle(document.documentElement);
    const color = css.getPropertyValue("--accent").trim();
    const x = (time: number) => AXIS_PX + ((time - from) / (to - from)) * plotWidth;
    const cell = Math.max(1, (data.step / (to - from)) * plotWidth);
    rows.forEach((row, r) => {
      const y = plotHeight - (r + 1) * rowHeight;
      row.values.forEach((value, i) => {
        const alpha = strength(value, max);
        if (alpha === 0) return;
        context.globalAlpha = alpha;
        context.fillStyle = color;
        context.fillRect(x(times[i]!), y + 0.5, Math.max(1, cell - 0.5), Math.max(1, rowHeight - 1));
      });
    });
    context.globalAlpha = 1;
    context.fillStyle = css.getPropertyValue("--muted").trim();
    context.font = "11px system-ui";
    context.textAlign = "right";
    const every = Math.max(1, Math.ceil(14 / rowHeight));
    rows.forEach((row, r) => {
      if (r % every !== 0) return;
      const number = Number(row.name);
      const label = Number.isNaN(number) ? visible(row.name) : formatValue(number, unit);
      context.fillText(label.slice(0, 12), AXIS_PX - 6, plotHeight - r * rowHeight - rowHeight / 2 + 4);
    });
    context.textAlign = "left";
    context.fillText(formatTime(resolved.from, zone).slice(11, 16), AXIS_PX, height - 5);
    context.textAlign = "right";
    context.fillText(formatTime(resolved.to, zone).slice(11, 16), width, height - 5);
  }, [rows, times, width, height, theme, zone, max, from, to, plotWidth, plotHeight, rowHeight, unit, data.step, resolved]);

  const point = (event: React.MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    const time = from + ((event.clientX - box.left - AXIS_PX) / plotWidth) * (to - from);
    const row = rows[Math.floor((plotHeight - (event.clientY - box.top)) / rowHeight)];
    const column = times.findIndex((one) => time >= one && time < one + data.step);
    const value = column < 0 ? null : (row?.values[column] ?? null);
    setTip(row && value !== null ? `${formatTime(times[column]! * 1000, zone)}  ${visible(row.name)}: ${formatValue(value, "short")}` : "");
  };
  return (
    <div className="heatmap" ref={host} onMouseMove={point} onMouseLeave={() => setTip("")}>
      <canvas ref={canvas} style={{ width: "100%", height }} role="img" aria-label={`Heat map of ${rows.length} rows`} />
      {tip && <div className="chart-tooltip heat-tip">{tip}</div>}
    </div>
  );
}
