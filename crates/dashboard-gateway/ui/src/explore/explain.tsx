// What each part of a query took: a tree, its costliest part marked.

import type { ExplainNode } from "../api/prometheus";
import { formatValue } from "../format/units";

export interface ExplainRow {
  depth: number;
  title: string;
  text: string;
  /** Seconds of this part alone; undefined where it was evaluated together with the part above it. */
  seconds?: number;
  samplesRead?: number;
  series?: number;
  /** Its share of all parts' time, 0 to 1. */
  share: number;
  note: string;
}

/** The tree as rows, parts below the part that they belong to. */
export function explainRows(tree: ExplainNode): ExplainRow[] {
  const rows: ExplainRow[] = [];
  const walk = (node: ExplainNode, depth: number) => {
    const notes: string[] = [];
    if (node.constant) notes.push("once, as it is the same at every step");
    if (!node.cost && node.kind !== "number" && node.kind !== "text") notes.push("with the part above");
    if (node.cost && node.cost.evaluations > 1) notes.push(`${node.cost.evaluations} times`);
    rows.push({
      depth,
      title: node.name === "" ? node.kind : `${node.kind} ${node.name}`,
      text: node.text ?? "",
      seconds: node.cost?.ownSeconds,
      samplesRead: node.cost?.ownSamplesRead,
      series: node.cost?.series,
      share: 0,
      note: notes.join(", "),
    });
    node.children.forEach((child) => walk(child, depth + 1));
  };
  walk(tree, 0);
  const total = rows.reduce((sum, row) => sum + (row.seconds ?? 0), 0);
  for (const row of rows) row.share = total > 0 ? (row.seconds ?? 0) / total : 0;
  return rows;
}

function Share(props: { of: number }) {
  const percent = `${Math.round(props.of * 100)} %`;
  return (
    <div className="share" role="img" aria-label={percent} title={percent}>
      <div style={{ width: `${props.of * 100}%` }} />
    </div>
  );
}

export function Explain(props: { tree: ExplainNode }) {
  const count = (value: number | undefined) => (value === undefined ? "" : formatValue(value, "locale"));
  return (
    <table className="query-parts" aria-label="Cost of each part of the query">
      <thead>
        <tr>
          <th>Part</th>
          <th className="number">Time</th>
          <th>Share</th>
          <th className="number">Samples read</th>
          <th className="number">Series</th>
        </tr>
      </thead>
      <tbody>
        {explainRows(props.tree).map((row, idx) => (
          <tr key={idx}>
            <td style={{ paddingLeft: `${0.5 + row.depth * 1.25}rem` }}>
              <code title={row.title}>{row.text || row.title}</code>
              {row.note !== "" && <small> {row.note}</small>}
            </td>
            <td className="number">{row.seconds === undefined ? "" : formatValue(row.seconds, "s")}</td>
            <td>{row.seconds === undefined ? "" : <Share of={row.share} />}</td>
            <td className="number">{count(row.samplesRead)}</td>
            <td className="number">{count(row.series)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
