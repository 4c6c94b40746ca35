// A chart of one PromQL query, loaded when it comes into view.

import { useMemo } from "react";
import { queryRange, type LabelSet, type Series } from "../api/prometheus";
import { alignSeries } from "../charts/align";
import { TimeSeries } from "../charts/time-series";
import { openLogs } from "../explore/open-logs";
import { nameSeries } from "../format/legend";
import { navigate } from "../router";
import { useLoad, useShared, useVisible, useWidth } from "../state";
import { stepFor } from "../time/range";
import type { ChartQuery } from "../pages/queries";
import { Empty, Failure, Loading, Panel } from "./states";

export function QueryChart(props: { chart: (window: string) => ChartQuery; emptyText: string; height?: number; threshold?: number; marks?: { time: number; text: string }[]; only?: LabelSet }) {
  const shared = useShared();
  const [ref, visible] = useVisible<HTMLDivElement>();
  const width = useWidth(ref) || 600;
  const step = stepFor(shared.resolved, width);
  const chart = props.chart(`${Math.max(step + 5, 30)}s`);
  const { from, to } = shared.resolved;
  const { data, error, loading, busy } = useLoad(
    `${chart.query}/${shared.range.from}/${shared.range.to}`,
    (signal) => queryRange(chart.query, from / 1000, to / 1000, step, signal),
    [shared.tick, step],
    visible,
  );
  const [times, lines] = useMemo(() => {
    if (!data) return [[], []];
    const series = own(data.series, props.only);
    const [axis, ...columns] = alignSeries(series, step);
    const labels = series.map((one) => one.labels);
    const names = distinct(nameSeries(labels, chart.legend), labels);
    return [axis, columns.map((values, i) => ({ name: names[i]!, labels: labels[i]!, values }))];
    // What the chart is narrowed to does not change while it is open.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [data, step, chart.legend]);
  const height = props.height ?? 170;
  const recent = shared.now() - to < 60_000;
  const markKey = JSON.stringify(props.marks);
  const [thresholds, marks] = useMemo(() => {
    const color = getComputedStyle(document.documentElement).getPropertyValue("--bad").trim();
    return [props.threshold === undefined ? undefined : [{ value: props.threshold, color }], props.marks?.map((mark) => ({ ...mark, color }))];
    // Marks are compared by what they say.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [props.threshold, markKey, shared.theme]);
  return (
    <div ref={ref}>
      <Panel
        title={chart.title}
        busy={busy && !loading}
        actions={
          <button type="button" className="icon quiet" data-key="e" title="Open in Explore (e)" aria-label={`Open ${chart.title} in Explore`} onClick={() => navigate("explore", { metrics: chart.query })}>
            ↗
          </button>
        }
      >
        {error ? (
          <Failure error={error} retry={shared.reload} />
        ) : !visible || loading ? (
          <Loading height={height + 90} />
        ) : lines.length === 0 ? (
          <Empty
            height={height + 60}
            action={
              <button type="button" onClick={recent ? shared.zoomOut : () => shared.setRange({ from: "now-1h", to: "now" })}>
                {recent ? "Widen the range" : "Show the last hour"}
              </button>
            }
          >
            {props.emptyText}
          </Empty>
        ) : (
          <TimeSeries
            times={times}
            lines={lines}
            range={shared.resolved}
            height={height}
            unit={chart.unit}
            axisLabel={chart.axis}
            legendCalcs={["mean", "lastNotNull"]}
            legendSort="last"
            onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })}
            onZoomOut={shared.zoomOut}
            onLogs={openLogs}
            thresholds={thresholds}
            marks={marks}
          />
        )}
      </Panel>
    </div>
  );
}

/** The series that an alert with these labels can come from; all of them where none fits. */
function own(series: Series[], only: LabelSet | undefined): Series[] {
  if (!only) return series;
  const fitting = series.filter(({ labels }) => Object.entries(labels).every(([name, value]) => name === "__name__" || only[name] === undefined || only[name] === value));
  return fitting.length > 0 ? fitting : series;
}

/** Names that stand for several instances get the instance beside them. */
function distinct(names: string[], labels: LabelSet[]): string[] {
  return names.map((name, i) => (names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} @ ${labels[i]!.instance ?? i}`));
}
