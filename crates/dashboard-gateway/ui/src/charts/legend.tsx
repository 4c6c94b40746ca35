// The legend: a sortable table (name, last, avg, max …) or a list.

import { useState } from "react";
import { visible } from "../format/text";
import { formatValue } from "../format/units";
import type { Summary } from "./align";

export interface LegendRow {
  name: string;
  color: string;
  dash: boolean;
  summary: Summary;
  unit?: string;
  hidden: boolean;
}

const CALCS: Record<string, [string, keyof Summary]> = {
  lastNotNull: ["last", "last"],
  last: ["last", "last"],
  current: ["last", "last"],
  mean: ["avg", "avg"],
  avg: ["avg", "avg"],
  max: ["max", "max"],
  min: ["min", "min"],
  sum: ["total", "total"],
  total: ["total", "total"],
};

export function Legend(props: {
  rows: LegendRow[];
  more: number;
  mode: "table" | "list";
  calcs?: string[];
  decimals?: number | null;
  /** By which column the table is sorted, the most first, until a click says otherwise. */
  sortBy?: keyof Summary;
  onClick: (name: string, toggle: boolean) => void;
}) {
  const wanted = (props.calcs ?? ["lastNotNull", "mean", "max"]).map((calc) => CALCS[calc]).filter((calc) => calc !== undefined);
  const [sort, setSort] = useState<{ by: keyof Summary | "name"; descending: boolean } | undefined>(props.sortBy && { by: props.sortBy, descending: true });
  const rows = sort ? [...props.rows].sort((a, b) => compare(a, b, sort.by) * (sort.descending ? -1 : 1)) : props.rows;
  const header = (by: keyof Summary | "name", title: string) => (
    <th key={by} aria-sort={sort?.by === by ? (sort.descending ? "descending" : "ascending") : "none"} className={by === "name" ? "" : "num"}>
      <button type="button" className="plain" onClick={() => setSort({ by, descending: sort?.by === by ? !sort.descending : by !== "name" })}>
        {title}
        {sort?.by === by ? (sort.descending ? " ↓" : " ↑") : ""}
      </button>
    </th>
  );
  const name = (row: LegendRow) => (
    <button type="button" className="plain legend-name" title={visible(row.name)} onClick={(event) => props.onClick(row.name, event.ctrlKey || event.metaKey)}>
      <i style={{ background: row.dash ? `repeating-linear-gradient(90deg, ${row.color} 0 4px, transparent 4px 7px)` : row.color }} />
      <span>{visible(row.name)}</span>
    </button>
  );
  if (props.mode === "list") {
    return (
      <div className="legend legend-list">
        {rows.map((row, i) => (
          <span key={`${row.name}/${i}`} className={row.hidden ? "off" : ""}>
            {name(row)} {wanted.length > 0 && <b>{formatValue(row.summary[wanted[0]![1]], row.unit, props.decimals)}</b>}
          </span>
        ))}
        {props.more > 0 && <span className="muted">+{props.more} more</span>}
      </div>
    );
  }
  return (
    <div className="legend" tabIndex={0} role="region" aria-label="Legend">
      <table>
        <thead>
          <tr>
            {header("name", "Name")}
            {wanted.map(([title, key]) => header(key, title))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={`${row.name}/${i}`} className={row.hidden ? "off" : ""}>
              <td>{name(row)}</td>
              {wanted.map(([title, key]) => (
                <td key={title} className="num">
                  {formatValue(row.summary[key], row.unit, props.decimals)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {props.more > 0 && <p className="muted">+{props.more} more</p>}
    </div>
  );
}

function compare(a: LegendRow, b: LegendRow, by: keyof Summary | "name"): number {
  if (by === "name") return a.name.localeCompare(b.name);
  return (a.summary[by] ?? -Infinity) - (b.summary[by] ?? -Infinity);
}
