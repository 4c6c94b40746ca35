// The metrics side of Explore.

import { useRef } from "react";
import { queryInstant, queryRange, type QueryResult } from "../api/prometheus";
import { formatValue } from "../format/units";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown } from "../parts/shown";
import { useParam } from "../router";
import { useLoad, useShared, useWidth } from "../state";
import { stepFor } from "../time/range";
import { EditorRow, useQuery } from "./editor-row";
import { Explain } from "./explain";
import { MetricResult, type MetricView } from "./metric-result";

const EXAMPLES: [string, string][] = [
  ["CPU of containers", 'sum by (name) (rate(container_cpu_usage_seconds_total{name!=""}[1m]))'],
  ["Memory of containers", 'container_memory_working_set_bytes{name!=""}'],
  ["Which targets are up", "up"],
];

interface Answer {
  result: QueryResult;
  ms: number;
}

export function MetricsSide() {
  const shared = useShared();
  const [query, text, setText, run] = useQuery("metrics");
  const [view, setView] = useParam("view", "chart");
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host) || 800;
  const step = stepFor(shared.resolved, width);
  const { from, to } = shared.resolved;
  const instant = view === "table";
  const { data, error, loading, busy } = useLoad<Answer>(
    `${query}/${shared.range.from}/${shared.range.to}/${instant}`,
    async (signal) => {
      const started = performance.now();
      const result = instant ? await queryInstant(query, to / 1000, signal, true) : await queryRange(query, from / 1000, to / 1000, step, signal, true);
      return { result, ms: performance.now() - started };
    },
    [shared.tick],
    query.trim() !== "",
  );
  return (
    <div ref={host}>
      <Panel
        title="Metrics"
        busy={busy && !loading}
        actions={
          <div className="tabs" role="tablist" aria-label="View">
            {(["chart", "table", "raw"] as MetricView[]).map((name) => (
              <button key={name} type="button" role="tab" aria-selected={view === name} onClick={() => setView(name)}>
                {name[0]!.toUpperCase() + name.slice(1)}
              </button>
            ))}
          </div>
        }
      >
        <EditorRow name="metrics" language="promql" text={text} setText={setText} run={run} error={error?.message} examples={EXAMPLES} />
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
            <MetricResult result={data!.result} view={view as MetricView} step={step} query={query} />
            <Cost answer={data!} step={instant ? undefined : step} />
          </>
        )}
      </Panel>
    </div>
  );
}

/** What the answer is made of and what it cost. */
function Cost(props: { answer: Answer; step: number | undefined }) {
  const { result, ms } = props.answer;
  const points = result.series.reduce((sum, series) => sum + series.times.length, 0);
  const { timings, samples } = result.stats ?? {};
  const parts: [string, string][] = [["Answered in", formatValue(ms / 1000, "s")]];
  const time = (title: string, seconds: number | undefined) => seconds !== undefined && parts.push([title, formatValue(seconds, "s")]);
  time("evaluated in", timings?.evalTotalTime);
  time("waited", timings?.execQueueTime);
  if (samples?.totalQueryableSamples !== undefined) parts.push(["samples in all windows", formatValue(samples.totalQueryableSamples, "locale")]);
  if (samples?.peakSamples !== undefined) parts.push(["at most in memory", `${formatValue(samples.peakSamples, "locale")} samples`]);
  return (
    <details className="cost">
      <summary>
        {result.series.length} series, {points} points, {formatValue(ms / 1000, "s")}
        {props.step === undefined ? "" : `, step ${props.step} s`}
      </summary>
      <dl className="identity">
        {parts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {result.explain && <Explain tree={result.explain} />}
    </details>
  );
}
