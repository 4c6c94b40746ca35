// A metric result as chart, table or raw text.

import { useMemo } from "react";
import type { QueryResult } from "../api/prometheus";
import { alignSeries } from "../charts/align";
import { TimeSeries } from "../charts/time-series";
import { nameSeries, seriesName } from "../format/legend";
import { formatValue } from "../format/units";
import { Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { useShared } from "../state";
import { openLogs } from "./open-logs";
import { WhyEmpty } from "./why-empty";
import { guessUnit } from "./units";

export type MetricView = "chart" | "table" | "raw";

export function MetricResult(props: { result: QueryResult; view: MetricView; step: number; query: string; logs?: boolean }) {
  const shared = useShared();
  const { result, view, step } = props;
  const [times, lines] = useMemo(() => {
    const [axis, ...columns] = alignSeries(result.series, step);
    const names = nameSeries(result.series.map((series) => series.labels), "__auto");
    return [axis, columns.map((values, i) => ({ name: names[i]!, labels: result.series[i]!.labels, values }))];
  }, [result, step]);
  if (result.series.length === 0) return <WhyEmpty query={props.query} logs={props.logs ?? false} />;
  if (view === "chart") {
    return (
      <TimeSeries
        times={times}
        lines={lines}
        range={shared.resolved}
        height={280}
        legendSort="last"
        unit={guessUnit(result, props.query)}
        onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })}
        onZoomOut={shared.zoomOut}
        onLogs={openLogs}
      />
    );
  }
  if (view === "raw") return <Raw result={result} />;
  const labels = [...new Set(result.series.flatMap((series) => Object.keys(series.labels)))].sort();
  type Row = QueryResult["series"][number];
  return (
    <Table
      label="Result"
      rows={result.series}
      rowKey={(series, i) => `${seriesName(series.labels)}/${i}`}
      columns={[
        ...labels.map((label) => ({ title: label, by: (series: Row) => series.labels[label] ?? "", cell: (series: Row) => series.labels[label] ?? "" })),
        { title: "Value", numeric: true, by: (series) => series.values[series.values.length - 1] ?? null, cell: (series) => formatValue(series.values[series.values.length - 1]) },
      ]}
    />
  );
}

const RAW_SERIES_MAX = 200;

function Raw(props: { result: QueryResult }) {
  const { series } = props.result;
  const text = series
    .slice(0, RAW_SERIES_MAX)
    .map((one) => `${seriesName(one.labels)}\n${one.times.map((time, i) => `  ${time} ${one.values[i]}`).join("\n")}`)
    .join("\n");
  return (
    <>
      <pre className="raw" tabIndex={0}>
        <Shown text={text} />
      </pre>
      {series.length > RAW_SERIES_MAX && <p className="muted">+{series.length - RAW_SERIES_MAX} more series</p>}
    </>
  );
}
