// The list of rows: only those in view are laid out; rows may differ in height.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useShared } from "../state";
import { formatTime } from "../time/range";
import { Shown } from "../parts/shown";
import { useLocation } from "../router";
import { Details } from "./details";
import { LineText } from "./line-text";
import type { LogViewProps } from "./log-view";
import type { LogRow } from "./rows";
import { firstAt, offsetsOf } from "./virtual";

const ROW_HEIGHT = 20;
const OVERSCAN_PX = 400;

export function RowList(props: LogViewProps & { rows: LogRow[] }) {
  const { rows, height = 480 } = props;
  const { params } = useLocation();
  const linked = params.get("line");
  const scroller = useRef<HTMLDivElement>(null);
  const slice = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const { following, setFollowing, fresh } = useFollowing(rows, props.follow ?? false, scroller);
  const wrap = props.wrap ?? false;
  const measured = useRef(new Map<string, number>());
  const [version, setVersion] = useState(0);

  const offsets = useMemo(() => offsetsOf(rows.map((row) => row.key), measured.current, ROW_HEIGHT), [rows, version]);
  const first = firstAt(offsets, Math.max(0, top - OVERSCAN_PX));
  const last = Math.min(rows.length, firstAt(offsets, top + height + OVERSCAN_PX) + 1);

  useEffect(() => {
    measured.current = new Map();
    setVersion((old) => old + 1);
  }, [wrap]);

  useLayoutEffect(() => {
    const box = slice.current;
    if (!box) return undefined;
    const measure = () => {
      let changed = false;
      for (const element of box.children) {
        const key = (element as HTMLElement).dataset.key!;
        const size = (element as HTMLElement).offsetHeight;
        if (size > 0 && size !== (measured.current.get(key) ?? ROW_HEIGHT)) {
          measured.current.set(key, size);
          changed = true;
        }
      }
      if (changed) setVersion((old) => old + 1);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [first, last, rows, wrap, open]);

  const wantedRow = linked ? rows.findIndex((row) => row.ns === linked) : -1;
  useEffect(() => {
    if (wantedRow < 0 || !scroller.current) return;
    setOpen(new Set([rows[wantedRow]!.key]));
    scroller.current.scrollTop = Math.max(0, wantedRow * ROW_HEIGHT - 80);
    // Once, when the linked line has arrived.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [linked, wantedRow >= 0]);

  const toggle = (key: string) =>
    setOpen((old) => {
      const next = new Set(old);
      if (!next.delete(key)) next.add(key);
      return next;
    });

  if (rows.length === 0) return null;
  return (
    <div
      className="log-rows"
      ref={scroller}
      style={{ maxHeight: height }}
      onScroll={(event) => {
        const element = event.currentTarget;
        setTop(element.scrollTop);
        if (props.follow) setFollowing(element.scrollTop + element.clientHeight >= element.scrollHeight - 30);
      }}
      tabIndex={0}
      role="region"
      aria-label="Log lines"
    >
      <div style={{ height: offsets[first] }} />
      <div ref={slice}>
        {rows.slice(first, last).map((row) => (
          <LogLineRow key={row.key} row={row} {...props} wrap={wrap} open={open.has(row.key)} onToggle={() => toggle(row.key)} />
        ))}
      </div>
      <div style={{ height: offsets[rows.length]! - offsets[last]! }} />
      {props.follow && !following && (
        <button type="button" className="log-resume primary" onClick={() => setFollowing(true)}>
          Paused{fresh > 0 ? `: ${fresh} new` : ""} ↓
        </button>
      )}
    </div>
  );
}

/** Stays at the newest line until the reader scrolls up; then counts what has come since. */
function useFollowing(rows: LogRow[], follow: boolean, scroller: React.RefObject<HTMLDivElement | null>) {
  const [following, setFollowing] = useState(true);
  const seen = useRef("");
  useEffect(() => {
    if (!follow || !following) return;
    seen.current = rows[rows.length - 1]?.key ?? "";
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, [rows, follow, following, scroller]);
  let fresh = 0;
  if (follow && !following) while (fresh < rows.length && rows[rows.length - 1 - fresh]!.key !== seen.current) fresh += 1;
  return { following, setFollowing, fresh };
}

function LogLineRow(props: LogViewProps & { row: LogRow; wrap: boolean; open: boolean; onToggle: () => void }) {
  const { zone } = useShared();
  const { row, open } = props;
  const time = formatTime(row.ms, zone, true);
  const source = row.labels.containers ?? row.labels.container ?? row.labels.job ?? row.labels.filename ?? "";
  return (
    <div className={`log-row level-${row.level}${props.wrap || open ? " wrapped" : ""}`} data-key={row.key}>
      <button type="button" className="plain log-line" onClick={props.onToggle} aria-expanded={open}>
        <span className="log-level" title={row.level} role="img" aria-label={row.level} />
        <time>
          <span className="log-date">{time.slice(5, 11)}</span>
          {time.slice(11)}
        </time>
        {source && (
          <span className="log-source">
            <Shown text={source} />
          </span>
        )}
        {props.columns?.map((column) => (
          <span key={column} className="log-column">
            <Shown text={row.fields[column] ?? row.labels[column] ?? "–"} />
          </span>
        ))}
        {row.count > 1 && <b className="log-count" title={`${row.count} such lines`}>×{row.count}</b>}
        <span className="log-text">
          <LineText text={row.text} patterns={props.patterns ?? []} whole={open} />
        </span>
      </button>
      {open && <Details {...props} />}
    </div>
  );
}
