// One line opened: its JSON spread out, labels and fields with what can be done with them, its context.

import { useState } from "react";
import { navigate, useLocation, href } from "../router";
import { Shown } from "../parts/shown";
import { visible } from "../format/text";
import { LogContext } from "./context";
import type { LogViewProps } from "./log-view";
import { prettyJson, statistics, type LogRow } from "./rows";

export function Details(props: LogViewProps & { row: LogRow }) {
  const { row } = props;
  const [context, setContext] = useState(false);
  const [counted, setCounted] = useState<string | undefined>();
  const pretty = prettyJson(row.text);
  const pairs = [
    ...Object.entries(row.labels).map(([name, value]) => ({ name, value, isLabel: true })),
    ...Object.entries(row.fields).map(([name, value]) => ({ name, value, isLabel: false })),
  ];
  return (
    <div className="log-details">
      {pretty && (
        <pre>
          <Shown text={pretty} />
        </pre>
      )}
      <table>
        <tbody>
          {pairs.map((pair) => (
            <PairRow key={`${pair.isLabel}/${pair.name}`} {...props} pair={pair} counted={counted === pair.name} onCount={() => setCounted(counted === pair.name ? undefined : pair.name)} />
          ))}
        </tbody>
      </table>
      <p className="row-actions">
        <button type="button" onClick={() => void navigator.clipboard?.writeText(row.text)}>
          Copy line
        </button>
        <CopyLink row={row} />
        <button type="button" aria-expanded={context} onClick={() => setContext(!context)}>
          Context: 50 lines either side
        </button>
        <button type="button" onClick={() => showMetrics(row)}>
          Metrics of this container then
        </button>
      </p>
      {context && <LogContext line={row} />}
    </div>
  );
}

function PairRow(props: LogViewProps & { row: LogRow; pair: { name: string; value: string; isLabel: boolean }; counted: boolean; onCount: () => void }) {
  const { name, value, isLabel } = props.pair;
  const shown = visible(name);
  const isColumn = props.columns?.includes(name) ?? false;
  return (
    <tr>
      <td className="actions">
        {props.onFilter && (
          <>
            <button type="button" title="Show only lines with this value" aria-label={`Filter for ${shown}`} onClick={() => props.onFilter!({ name, value, isLabel, out: false })}>
              =
            </button>
            <button type="button" title="Hide lines with this value" aria-label={`Filter out ${shown}`} onClick={() => props.onFilter!({ name, value, isLabel, out: true })}>
              ≠
            </button>
          </>
        )}
        {props.onColumns && (
          <button
            type="button"
            title="Show as a column"
            aria-label={`Show ${shown} as a column`}
            aria-pressed={isColumn}
            onClick={() => props.onColumns!(isColumn ? props.columns!.filter((one) => one !== name) : [...(props.columns ?? []), name])}
          >
            ▥
          </button>
        )}
        <button type="button" title="How often each value occurs in the lines shown" aria-label={`Statistics of ${shown}`} aria-pressed={props.counted} onClick={props.onCount}>
          %
        </button>
      </td>
      <th scope="row">
        <Shown text={name} />
      </th>
      <td>
        <Shown text={value} />
        {props.counted && <Statistics lines={props.lines} name={name} />}
      </td>
      <td className="muted">{isLabel ? "label" : "field"}</td>
    </tr>
  );
}

function Statistics(props: { lines: LogViewProps["lines"]; name: string }) {
  const { values, withField, distinct } = statistics(props.lines, props.name);
  return (
    <div className="log-statistics">
      <p className="muted">
        {distinct} {distinct === 1 ? "value" : "values"} in {withField} of {props.lines.length} lines
      </p>
      {values.map((one) => (
        <div key={one.value} className="share">
          <span>
            <Shown text={one.value} />
          </span>
          <i style={{ width: `${Math.max(1, one.share * 100)}%` }} />
          <b>
            {one.count} ({(one.share * 100).toFixed(one.share < 0.1 ? 1 : 0)} %)
          </b>
        </div>
      ))}
    </div>
  );
}

/** A link to this very line: its query, the minutes around it, the line opened. */
function CopyLink(props: { row: LogRow }) {
  const { params } = useLocation();
  const [done, setDone] = useState(false);
  const { row } = props;
  const copy = () => {
    const selector = `{${Object.entries(row.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")}}`;
    const link = href("explore", { logs: params.get("logs") ?? selector, from: String(row.ms - 60_000), to: String(row.ms + 60_000), line: row.ns });
    void navigator.clipboard?.writeText(new URL(link, window.location.href).href).then(() => setDone(true));
  };
  return (
    <button type="button" onClick={copy}>
      {done ? "Link copied" : "Copy link"}
    </button>
  );
}

function showMetrics(row: LogRow) {
  const name = row.labels.container ?? (row.labels.containers ?? "").split("/").pop() ?? "";
  navigate("explore", {
    metrics: `sum by (name) (rate(container_cpu_usage_seconds_total{name=${JSON.stringify(name)}}[1m]))`,
    from: String(row.ms - 900_000),
    to: String(row.ms + 900_000),
  });
}
