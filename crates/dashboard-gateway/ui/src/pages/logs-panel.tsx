// The log lines of one query in the page's range.

import { queryLogs } from "../api/loki";
import { LogView } from "../logs/log-view";
import { Link } from "../parts/link";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { useLoad, useShared } from "../state";

export function Logs(props: { query: string }) {
  const shared = useShared();
  const { from, to } = shared.resolved;
  const { data, error, loading } = useLoad(`logs/${props.query}/${shared.range.from}`, (signal) => queryLogs(props.query, from, to, { limit: 1000, signal }), [shared.tick]);
  const lines = data?.kind === "lines" ? data.logs.lines : [];
  return (
    <Panel title="Logs" actions={<Link to="explore" params={{ logs: props.query }}>Explore and follow</Link>}>
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={200} />
      ) : lines.length === 0 ? (
        <Empty>No lines in this range.</Empty>
      ) : (
        <LogView lines={lines} range={shared.resolved} onZoom={(start, end) => shared.setRange({ from: String(Math.round(start)), to: String(Math.round(end)) })} />
      )}
    </Panel>
  );
}
