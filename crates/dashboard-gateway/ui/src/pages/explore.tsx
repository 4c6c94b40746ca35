// Explore: metrics and logs side by side, one time range. The URL holds both queries.

import { useEffect, useMemo, useRef, useState } from "react";
import { queryLogs, tail, type Answer, type LogLine } from "../api/loki";
import { queryInstant, queryRange, type QueryResult } from "../api/prometheus";
import { alignSeries } from "../charts/align";
import { TimeSeries } from "../charts/time-series";
import { nameSeries, seriesName } from "../format/legend";
import { formatValue, significant } from "../format/units";
import { filterPatterns } from "../logs/level";
import { downloadLines, LogView, type LogFilter } from "../logs/log-view";
import { QueryEditor, type QueryLanguage } from "../editor/query-editor";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { setParams, useLocation, useParam } from "../router";
import { useLoad, useShared, useWidth } from "../state";
import { stepFor } from "../time/range";

export function Explore() {
  const { params } = useLocation();
  const hasMetrics = params.get("metrics") !== null;
  const hasLogs = params.get("logs") !== null;
  const [both, setBoth] = useState(!hasMetrics && !hasLogs);
  const showMetrics = both || hasMetrics || !hasLogs;
  const showLogs = both || hasLogs || !hasMetrics;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Explore</h1>
        {!(showMetrics && showLogs) && (
          <button type="button" onClick={() => setBoth(true)}>
            {showMetrics ? "Add logs beside" : "Add metrics beside"}
          </button>
        )}
      </div>
      <div className={showMetrics && showLogs ? "charts-2 explore" : "explore"}>
        {showMetrics && <MetricsSide />}
        {showLogs && <LogsSide />}
      </div>
    </div>
  );
}

function useQuery(name: "metrics" | "logs"): [string, string, (text: string) => void, () => void] {
  const [query, setQuery] = useParam(name, "");
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  const { reload } = useShared();
  const run = () => {
    remember(name, text);
    if (text === query) reload();
    else setQuery(text);
  };
  return [query, text, setText, run];
}

function remember(name: string, query: string) {
  if (!query.trim()) return;
  const old = recent(name).filter((other) => other !== query);
  localStorage.setItem(`history-${name}`, JSON.stringify([query, ...old].slice(0, 50)));
}

function recent(name: string): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(`history-${name}`) ?? "[]");
    return Array.isArray(stored) ? stored.filter((item): item is string => typeof item === "string") : [];
  } catch {
    return [];
  }
}

function EditorRow(props: { name: "metrics" | "logs"; language: QueryLanguage; text: string; setText: (text: string) => void; run: () => void; error?: string; examples: [string, string][] }) {
  const [open, setOpen] = useState(false);
  const queries = recent(props.name);
  return (
    <div className="editor-row">
      <QueryEditor language={props.language} value={props.text} onChange={props.setText} onRun={props.run} error={props.error} label={props.language === "promql" ? "PromQL query" : "LogQL query"} />
      <div className="row-actions">
        <button type="button" className="primary" onClick={props.run} title="Ctrl-Enter">
          Run
        </button>
        <button type="button" onClick={() => setOpen(!open)} aria-expanded={open}>
          History and examples
        </button>
      </div>
      {open && (
        <ul className="history">
          {props.examples.map(([title, query]) => (
            <li key={title}>
              <button type="button" className="plain" onClick={() => props.setText(query)}>
                <b>{title}</b> <code>{query}</code>
              </button>
            </li>
          ))}
          {queries.map((query) => (
            <li key={query}>
              <button type="button" className="plain" onClick={() => props.setText(query)}>
                <code>{query}</code>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const METRIC_EXAMPLES: [string, string][] = [
  ["CPU of containers", "sum by (name) (rate(container_cpu_usage_seconds_total{name!=\"\"}[1m]))"],
  ["Memory of containers", 'container_memory_working_set_bytes{name!=""}'],
  ["Which targets are up", "up"],
];

const LOG_EXAMPLES: [string, string][] = [
  ["All containers", '{containers=~".+"}'],
  ["Error lines", '{containers=~".+"} |~ "(?i)error"'],
  ["Lines a minute per container", 'sum by (container) (count_over_time({containers=~".+"}[1m]))'],
];

type MetricView = "chart" | "table" | "raw";

function MetricsSide() {
  const shared = useShared();
  const [query, text, setText, run] = useQuery("metrics");
  const [view, setView] = useParam("view", "chart");
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host) || 800;
  const step = stepFor(shared.resolved, width);
  const { from, to } = shared.resolved;
  const instant = view === "table";
  const { data, error, loading, busy } = useLoad<{ result: QueryResult; ms: number }>(
    `${query}/${shared.range.from}/${shared.range.to}/${instant}`,
    async (signal) => {
      const started = performance.now();
      const result = instant ? await queryInstant(query, to / 1000, signal) : await queryRange(query, from / 1000, to / 1000, step, signal);
      return { result, ms: performance.now() - started };
    },
    [shared.tick],
    query.trim() !== "",
  );
  const points = data?.result.series.reduce((sum, series) => sum + series.times.length, 0) ?? 0;
  return (
    <div ref={host}>
      <Panel
        title="Metrics"
        busy={busy && !loading}
        actions={
          <div className="tabs" role="tablist">
            {(["chart", "table", "raw"] as MetricView[]).map((name) => (
              <button key={name} type="button" role="tab" aria-selected={view === name} onClick={() => setView(name)}>
                {name}
              </button>
            ))}
          </div>
        }
      >
        <EditorRow name="metrics" language="promql" text={text} setText={setText} run={run} error={error?.message} examples={METRIC_EXAMPLES} />
        {query.trim() === "" ? (
          <Empty>Write a PromQL query and press Ctrl-Enter.</Empty>
        ) : error ? (
          <Failure error={error} retry={shared.reload} />
        ) : loading ? (
          <Loading height={300} />
        ) : (
          <>
            {[...data!.result.warnings, ...data!.result.infos].map((note) => (
              <p key={note} className="note">
                <Shown text={note} />
              </p>
            ))}
            <MetricResult result={data!.result} view={view as MetricView} step={step} />
            <p className="muted">
              {data!.result.series.length} series, {points} points, {significant(data!.ms)} ms{instant ? "" : `, step ${step} s`}
            </p>
          </>
        )}
      </Panel>
    </div>
  );
}

function MetricResult(props: { result: QueryResult; view: MetricView; step: number }) {
  const shared = useShared();
  const { result, view, step } = props;
  const [times, lines] = useMemo(() => {
    const [axis, ...columns] = alignSeries(result.series, step);
    const names = nameSeries(result.series.map((series) => series.labels), "__auto");
    return [axis, columns.map((values, i) => ({ name: names[i]!, labels: result.series[i]!.labels, values }))];
  }, [result, step]);
  if (result.series.length === 0) return <Empty>No such series in this range. Check the metric's name and labels, or widen the range.</Empty>;
  if (view === "chart") {
    return (
      <TimeSeries
        times={times}
        lines={lines}
        range={shared.resolved}
        height={280}
        unit={guessUnit(result)}
        onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })}
      />
    );
  }
  if (view === "raw") {
    const text = result.series
      .slice(0, 200)
      .map((series) => `${seriesName(series.labels)}\n${series.times.map((time, i) => `  ${time} ${series.values[i]}`).join("\n")}`)
      .join("\n");
    return <pre className="raw"><Shown text={text} /></pre>;
  }
  const labels = [...new Set(result.series.flatMap((series) => Object.keys(series.labels)))].sort();
  return (
    <Table
      label="Result"
      rows={result.series}
      rowKey={(series, i) => `${seriesName(series.labels)}/${i}`}
      columns={[
        ...labels.map((label) => ({ title: label, by: (series: QueryResult["series"][number]) => series.labels[label] ?? "", cell: (series: QueryResult["series"][number]) => series.labels[label] ?? "" })),
        { title: "Value", numeric: true, by: (series) => series.values[0] ?? null, cell: (series) => formatValue(series.values[series.values.length - 1]) },
      ]}
    />
  );
}

function guessUnit(result: QueryResult): string {
  const name = result.series[0]?.labels.__name__ ?? "";
  if (/_bytes$/.test(name)) return "bytes";
  if (/_seconds$/.test(name) && !/time_seconds$/.test(name)) return "s";
  return "short";
}

function LogsSide() {
  const shared = useShared();
  const [query, text, setText, run] = useQuery("logs");
  const [live, setLive] = useState(false);
  const [forward, setForward] = useParam("order", "newest");
  const [wrap, setWrap] = useParam("wrap", "");
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host) || 800;
  const { from, to } = shared.resolved;
  const step = stepFor(shared.resolved, width);
  const { data, error, loading, busy } = useLoad<Answer>(
    `${query}/${shared.range.from}/${shared.range.to}/${forward}`,
    (signal) => queryLogs(query, from, to, { limit: 1000, forward: forward === "oldest", stepSeconds: step, signal }),
    [shared.tick],
    query.trim() !== "" && !live,
  );
  const addFilter = (filter: LogFilter) => {
    const next = withFilter(query, filter);
    setText(next);
    setParams({ logs: next });
  };
  const lines = data?.kind === "lines" ? data.logs.lines : [];
  return (
    <div ref={host}>
      <Panel
        title="Logs"
        busy={busy && !loading && !live}
        actions={
          <div className="tabs">
            <button type="button" aria-pressed={live} disabled={query.trim() === ""} onClick={() => setLive(!live)}>
              {live ? "Stop following" : "Live"}
            </button>
            <button type="button" onClick={() => setForward(forward === "oldest" ? null : "oldest")}>
              {forward === "oldest" ? "Oldest first" : "Newest first"}
            </button>
            <button type="button" aria-pressed={wrap === "1"} onClick={() => setWrap(wrap === "1" ? null : "1")}>
              Wrap
            </button>
            <select aria-label="Download" value="" disabled={lines.length === 0} onChange={(event) => downloadLines(lines, event.target.value as "txt")}>
              <option value="">Download</option>
              <option value="txt">txt</option>
              <option value="ndjson">ndjson</option>
              <option value="csv">csv</option>
            </select>
          </div>
        }
      >
        <EditorRow name="logs" language="logql" text={text} setText={setText} run={run} error={error?.message} examples={LOG_EXAMPLES} />
        {query.trim() === "" ? (
          <Empty>Write a LogQL query and press Ctrl-Enter.</Empty>
        ) : live ? (
          <LiveTail query={query} wrap={wrap === "1"} />
        ) : error ? (
          <Failure error={error} retry={shared.reload} />
        ) : loading ? (
          <Loading height={300} />
        ) : data!.kind === "series" ? (
          <MetricResult result={data!.result} view="chart" step={step} />
        ) : lines.length === 0 ? (
          <Empty>No line matches in this range. Widen the range or loosen a filter.</Empty>
        ) : (
          <>
            <LogView
              lines={lines}
              range={shared.resolved}
              patterns={filterPatterns(query)}
              wrap={wrap === "1"}
              onFilter={addFilter}
              onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })}
              onContext={(line) => showContext(line)}
              onMetrics={(line) => showMetrics(line)}
            />
            <p className="muted">
              {lines.length} lines shown; {data!.logs.stats.lines} lines and {formatValue(data!.logs.stats.bytes, "bytes")} read in {formatValue(data!.logs.stats.seconds, "s")}
            </p>
          </>
        )}
      </Panel>
    </div>
  );
}

const TAIL_LINES_MAX = 5000;

function LiveTail(props: { query: string; wrap: boolean }) {
  const shared = useShared();
  const [lines, setLines] = useState<LogLine[]>([]);
  const [state, setState] = useState<{ connected: boolean; reason: string }>({ connected: false, reason: "connecting" });
  const [dropped, setDropped] = useState(0);
  useEffect(() => {
    setLines([]);
    setDropped(0);
    const following = tail(
      props.query,
      shared.now() - 300_000,
      (fresh, lost) => {
        if (fresh.length > 0) setLines((old) => [...old, ...fresh].slice(-TAIL_LINES_MAX));
        if (lost > 0) setDropped((old) => old + lost);
      },
      (connected, reason) => setState({ connected, reason }),
    );
    return () => following.close();
    // The clock is read once, when following starts.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [props.query]);
  return (
    <>
      <p className={state.connected ? "note good" : "note bad"} role="status">
        {state.connected ? "Following" : `Not connected: ${state.reason}`}
        {dropped > 0 && `, ${dropped} lines skipped`}
      </p>
      {lines.length === 0 ? (
        <Empty>Waiting for the next line.</Empty>
      ) : (
        <LogView lines={lines} range={shared.resolved} patterns={filterPatterns(props.query)} histogram={false} follow wrap={props.wrap} height={560} />
      )}
    </>
  );
}

/** The query with one more label matcher or label filter. */
export function withFilter(query: string, filter: LogFilter): string {
  const op = filter.out ? "!=" : "=";
  const value = JSON.stringify(filter.value);
  if (filter.isLabel) return query.replace(/\{([^}]*)\}/, (_, inner: string) => `{${inner.trim() ? `${inner.trim()}, ` : ""}${filter.name}${op}${value}}`);
  return `${query} | ${filter.name}${op}${value}`;
}

function showContext(line: LogLine) {
  const selector = `{${Object.entries(line.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")}}`;
  setParams({ logs: selector, from: String(line.ms - 60_000), to: String(line.ms + 60_000) });
}

function showMetrics(line: LogLine) {
  const name = line.labels.container ?? (line.labels.containers ?? "").split("/").pop() ?? "";
  setParams({
    metrics: `sum by (name) (rate(container_cpu_usage_seconds_total{name=${JSON.stringify(name)}}[1m]))`,
    from: String(line.ms - 900_000),
    to: String(line.ms + 900_000),
  });
}
