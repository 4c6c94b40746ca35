// The logs side of Explore.

import { useRef, useState } from "react";
import { ALL_LINES, queryLogs, type Answer } from "../api/loki";
import { formatValue } from "../format/units";
import { downloadLines, type DownloadFormat } from "../logs/download";
import { filterPatterns } from "../logs/level";
import { LogView, type LogFilter } from "../logs/log-view";
import { DEDUPE, type Dedupe } from "../logs/rows";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { setParams, useParam } from "../router";
import { useLoad, useShared, useWidth } from "../state";
import { stepFor } from "../time/range";
import { EditorRow, useQuery } from "./editor-row";
import { LiveTail } from "./live-tail";
import { withFilter } from "./log-query";
import { MetricResult } from "./metric-result";
import { WhyEmpty } from "./why-empty";

const EXAMPLES: [string, string][] = [
  ["All lines", ALL_LINES],
  ["Error lines", `${ALL_LINES} |~ "(?i)error"`],
  ["Lines a minute per service", `sum by (service_name) (count_over_time(${ALL_LINES}[1m]))`],
];

const LIMITS = ["100", "1000", "5000"];
const DEDUPE_NAMES: Record<Dedupe, string> = { none: "All lines", exact: "Fold equal lines", numbers: "Fold but for numbers" };

export function LogsSide() {
  const shared = useShared();
  const [query, text, setText, run] = useQuery("logs");
  const [live, setLive] = useState(false);
  const [order, setOrder] = useParam("order", "newest");
  const [limit, setLimit] = useParam("limit", "1000");
  const [wrapParam, setWrap] = useParam("wrap", "");
  const [dedupe, setDedupe] = useParam("dedupe", "none");
  const [columnParam, setColumns] = useParam("columns", "");
  const columns = columnParam.split(",").filter(Boolean);
  const wrap = wrapParam === "1";
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host) || 800;
  const { from, to } = shared.resolved;
  const step = stepFor(shared.resolved, width);
  const { data, error, loading, busy } = useLoad<Answer>(
    `${query}/${shared.range.from}/${shared.range.to}/${order}/${limit}`,
    (signal) => queryLogs(query, from, to, { limit: Math.min(5000, Number(limit) || 1000), forward: order === "oldest", stepSeconds: step, signal }),
    [shared.tick],
    query.trim() !== "" && !live,
  );
  const addFilter = (filter: LogFilter) => {
    const next = withFilter(query, filter);
    setText(next);
    setParams({ logs: next });
  };
  const lines = data?.kind === "lines" ? data.logs.lines : [];
  const view = { patterns: filterPatterns(query), wrap, columns, dedupe: dedupe as Dedupe, onFilter: addFilter, onColumns: (next: string[]) => setColumns(next.join(",") || null) };
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
            <button type="button" onClick={() => setOrder(order === "oldest" ? null : "oldest")}>
              {order === "oldest" ? "Oldest first" : "Newest first"}
            </button>
            <button type="button" aria-pressed={wrap} onClick={() => setWrap(wrap ? null : "1")}>
              Wrap
            </button>
            <select aria-label="Fold repeated lines" value={dedupe} onChange={(event) => setDedupe(event.target.value, true)}>
              {DEDUPE.map((how) => (
                <option key={how} value={how}>
                  {DEDUPE_NAMES[how]}
                </option>
              ))}
            </select>
            <select aria-label="Lines at most" value={limit} onChange={(event) => setLimit(event.target.value, true)}>
              {LIMITS.map((one) => (
                <option key={one} value={one}>
                  {one} lines
                </option>
              ))}
            </select>
            <select aria-label="Download" value="" disabled={lines.length === 0} onChange={(event) => downloadLines(lines, event.target.value as DownloadFormat)}>
              <option value="">Download</option>
              <option value="txt">txt</option>
              <option value="ndjson">ndjson</option>
              <option value="csv">csv</option>
            </select>
          </div>
        }
      >
        <EditorRow name="logs" language="logql" text={text} setText={setText} run={run} error={error?.message} examples={EXAMPLES} />
        {query.trim() === "" ? (
          <Empty>Write a LogQL query and press Ctrl-Enter.</Empty>
        ) : live ? (
          <LiveTail key={query} query={query} view={view} />
        ) : error ? (
          <Failure error={error} retry={shared.reload} />
        ) : loading ? (
          <Loading height={300} />
        ) : data!.kind === "series" ? (
          <MetricResult result={data!.result} view="chart" step={step} query={query} logs />
        ) : lines.length === 0 ? (
          <WhyEmpty query={query} logs />
        ) : (
          <>
            <LogView lines={lines} range={shared.resolved} {...view} onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })} />
            <p className="muted">
              {lines.length} lines shown{lines.length >= Number(limit) ? ` (the ${order} of more)` : ""}; {data!.logs.stats.lines} lines and {formatValue(data!.logs.stats.bytes, "bytes")} read in{" "}
              {formatValue(data!.logs.stats.seconds, "s")}
            </p>
          </>
        )}
      </Panel>
    </div>
  );
}
