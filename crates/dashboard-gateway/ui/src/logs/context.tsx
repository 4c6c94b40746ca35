// The lines around a line, from its own stream.

import { compareNs, queryLogs, type LogLine } from "../api/loki";
import { Failure, Loading } from "../parts/states";
import { useLoad, useShared } from "../state";
import { formatTime } from "../time/range";
import { LineText } from "./line-text";

const LINES_EITHER_SIDE = 50;
const REACH_MS = 6 * 3_600_000;

async function loadContext(line: LogLine, signal: AbortSignal): Promise<LogLine[]> {
  const selector = `{${Object.entries(line.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")}}`;
  const limit = LINES_EITHER_SIDE + 1;
  const answers = await Promise.all([
    queryLogs(selector, line.ms - REACH_MS, line.ms + 1, { limit, signal }),
    queryLogs(selector, line.ms, line.ms + REACH_MS, { limit, forward: true, signal }),
  ]);
  const all = new Map<string, LogLine>();
  for (const answer of answers) for (const one of answer.kind === "lines" ? answer.logs.lines : []) all.set(`${one.ns}/${one.text}`, one);
  return [...all.values()].sort((a, b) => compareNs(a.ns, b.ns));
}

export function LogContext(props: { line: LogLine }) {
  const { zone } = useShared();
  const { line } = props;
  const { data, error, loading } = useLoad(`context/${line.ns}/${JSON.stringify(line.labels)}`, (signal) => loadContext(line, signal));
  if (error) return <Failure error={error} />;
  if (loading) return <Loading height={120} />;
  return (
    <ol className="log-context" tabIndex={0} aria-label={`${LINES_EITHER_SIDE} lines either side`}>
      {data!.map((one, i) => (
        <li key={`${one.ns}/${i}`} className={one.ns === line.ns && one.text === line.text ? "here" : ""} ref={one.ns === line.ns && one.text === line.text ? intoView : undefined}>
          <time>{formatTime(one.ms, zone, true).slice(11)}</time> <LineText text={one.text} patterns={[]} />
        </li>
      ))}
    </ol>
  );
}

function intoView(element: HTMLElement | null) {
  const box = element?.parentElement;
  if (element && box) box.scrollTop = element.offsetTop - box.offsetTop - box.clientHeight / 2;
}
