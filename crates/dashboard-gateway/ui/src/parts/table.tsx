// A table that sorts by a click on a column's head and scrolls sideways within itself.

import { useState, type ReactNode } from "react";
import { shownNode } from "./shown";

export interface Column<T> {
  title: string;
  /** What the cell shows. */
  cell: (row: T) => ReactNode;
  /** What the column sorts by; without it, it does not sort. */
  by?: (row: T) => string | number | null;
  numeric?: boolean;
  className?: string;
}

export function Table<T>(props: {
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T, index: number) => string;
  onRow?: (row: T) => void;
  initial?: { column: string; descending: boolean };
  label: string;
  max?: number;
}) {
  const [sort, setSort] = useState(props.initial);
  const column = props.columns.find((one) => one.title === sort?.column);
  const by = column?.by;
  const rows = by
    ? [...props.rows].sort((a, b) => {
        const [x, y] = [by(a), by(b)];
        // What has no value goes last either way.
        if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
        const order = typeof x === "string" && typeof y === "string" ? x.localeCompare(y, undefined, { numeric: true }) : Number(x) - Number(y);
        return sort?.descending ? -order : order;
      })
    : props.rows;
  const max = props.max ?? 500;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={props.label}>
      <table className="table">
        <thead>
          <tr>
            {props.columns.map((one) => (
              <th
                key={one.title}
                className={one.numeric ? "num" : ""}
                aria-sort={sort?.column === one.title ? (sort.descending ? "descending" : "ascending") : undefined}
              >
                {one.by ? (
                  <button
                    type="button"
                    className="plain"
                    onClick={() => setSort({ column: one.title, descending: sort?.column === one.title ? !sort.descending : !!one.numeric })}
                  >
                    {shownNode(one.title)}
                    {sort?.column === one.title ? (sort.descending ? " ↓" : " ↑") : ""}
                  </button>
                ) : (
                  shownNode(one.title)
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, max).map((row, i) => (
            <tr key={props.rowKey(row, i)} className={props.onRow ? "clickable" : ""} onClick={() => props.onRow?.(row)}>
              {props.columns.map((one) => (
                <td key={one.title} className={`${one.numeric ? "num" : ""} ${one.className ?? ""}`}>
                  {shownNode(one.cell(row))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > max && <p className="muted">+{rows.length - max} more</p>}
    </div>
  );
}
