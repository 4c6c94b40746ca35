// Following a query: new lines at the end, what was lost said.

import { useEffect, useState } from "react";
import { tail, type LogLine } from "../api/loki";
import { LogView, type LogViewProps } from "../logs/log-view";
import { Empty } from "../parts/states";
import { useShared } from "../state";

const LINES_MAX = 5000;
/** How far back following begins. */
const START_MS = 300_000;

export function LiveTail(props: { query: string; view: Pick<LogViewProps, "patterns" | "wrap" | "columns" | "dedupe" | "onColumns"> }) {
  const shared = useShared();
  const [lines, setLines] = useState<LogLine[]>([]);
  const [state, setState] = useState<{ connected: boolean; reason: string }>({ connected: false, reason: "connecting" });
  const [skipped, setSkipped] = useState(0);
  const [paused, setPaused] = useState(false);
  useEffect(() => {
    if (paused) return undefined;
    const following = tail(
      props.query,
      shared.now() - START_MS,
      (fresh, lost) => {
        if (fresh.length > 0) setLines((old) => merge(old, fresh));
        if (lost > 0) setSkipped((old) => old + lost);
      },
      (connected, reason) => setState({ connected, reason }),
    );
    return () => following.close();
    // The clock is read once, when following starts.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [props.query, paused]);
  return (
    <>
      <p className={paused ? "note" : state.connected ? "note good" : "note bad"} role="status">
        {paused ? "Stopped" : state.connected ? "Following" : `Not connected: ${state.reason}. Trying again every 2 s.`}
        {skipped > 0 && `, ${skipped} lines skipped by the server`}
        {lines.length >= LINES_MAX && `, the last ${LINES_MAX} lines are kept`}{" "}
        <button type="button" onClick={() => setPaused(!paused)}>
          {paused ? "Follow again" : "Pause"}
        </button>{" "}
        <button type="button" onClick={() => setLines([])}>
          Clear
        </button>
      </p>
      {lines.length === 0 ? (
        <Empty>Waiting for the next line.</Empty>
      ) : (
        <LogView lines={lines} range={shared.resolved} histogram={false} follow height={560} {...props.view} />
      )}
    </>
  );
}

/** After a pause, following begins a little before it: lines that are there already do not come twice. */
function merge(old: LogLine[], fresh: LogLine[]): LogLine[] {
  const last = old[old.length - 1]?.ns ?? "";
  const known = new Set(old.slice(-2000).map((line) => line.ns + line.text));
  const added = fresh.filter((line) => line.ns > last || !known.has(line.ns + line.text));
  return [...old, ...added].slice(-LINES_MAX);
}
