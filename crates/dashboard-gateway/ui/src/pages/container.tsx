// One container or one host: charts, events, its logs; one time range.

import { queryInstant, queryRange } from "../api/prometheus";
import { formatValue } from "../format/units";
import { Link } from "../parts/link";
import { QueryChart } from "../parts/query-chart";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown, shownNode } from "../parts/shown";
import { Table } from "../parts/table";
import { useLocation } from "../router";
import { useLoad, useShared } from "../state";
import { formatTime } from "../time/range";
import { StateBadge } from "./home";
import { HostIdentity, HostLogs } from "./host-parts";
import { Logs } from "./logs-panel";
import { byContainer, byHost, containerCharts, hostCharts } from "./queries";

export function Container() {
  const { params } = useLocation();
  const name = params.get("name") ?? "";
  const instance = params.get("instance") ?? "";
  const filter = byContainer(name, instance);
  const { memoryLimit, cpuLimit } = useLimits(filter);
  return (
    <div className="page">
      <h1><Shown text={name} /></h1>
      <Identity filter={filter} instance={instance} />
      <div className="charts-2">
        {[0, 1, 2, 3].map((i) => (
          <QueryChart key={i} threshold={i === 0 ? cpuLimit : i === 1 ? memoryLimit : undefined} chart={(window) => containerCharts(filter, window)[i]!} emptyText="Nothing in this range: the container was not running, or its host was not scraped." />
        ))}
      </div>
      <Events filter={filter} />
      <Logs query={`{container=${JSON.stringify(name)}}`} />
    </div>
  );
}

/** The container's limits, which the charts show as lines; undefined where there is none. */
function useLimits(filter: string): { memoryLimit: number | undefined; cpuLimit: number | undefined } {
  const { data } = useLoad(`limits/${filter}`, async (signal) => {
    const ask = async (query: string) => (await queryInstant(query, undefined, signal)).series[0]?.values[0];
    const [memory, quota] = await Promise.all([
      ask(`container_spec_memory_limit_bytes{${filter}} > 0`),
      ask(`(container_spec_cpu_quota{${filter}} > 0) / container_spec_cpu_period{${filter}}`),
    ]);
    return { memory, quota };
  });
  return { memoryLimit: data?.memory, cpuLimit: data?.quota };
}

export function Host() {
  const { params } = useLocation();
  const instance = params.get("instance") ?? "";
  return (
    <div className="page">
      <h1><Shown text={instance} /></h1>
      <HostIdentity instance={instance} />
      <div className="charts-2">
        {[0, 1, 2, 3].map((i) => (
          <QueryChart key={i} chart={(window) => hostCharts(byHost(instance), window)[i]!} emptyText="Nothing in this range: the host was not scraped." />
        ))}
        {[0, 1, 2, 3].map((i) => (
          <QueryChart key={`c${i}`} chart={(window) => containerCharts(byHost(instance), window)[i]!} emptyText="No containers in this range." />
        ))}
      </div>
      <HostLogs instance={instance} />
    </div>
  );
}

function Identity(props: { filter: string; instance: string }) {
  const shared = useShared();
  const { data, error } = useLoad(
    `identity/${props.filter}`,
    async (signal) => {
      const ask = (query: string) => queryInstant(query, shared.resolved.to / 1000, signal);
      const [seen, state, limit, started, health, restarts] = await Promise.all([
        ask(`last_over_time(container_last_seen{${props.filter}}[1h])`),
        ask(`container_state{${props.filter}} == 1`),
        ask(`container_spec_memory_limit_bytes{${props.filter}}`),
        ask(`container_start_time_seconds{${props.filter}}`),
        ask(`container_health_status{${props.filter}} == 1`),
        ask(`container_restarts_total{${props.filter}}`),
      ]);
      const labels = seen.series[0]?.labels ?? state.series[0]?.labels ?? {};
      return {
        image: labels.image ?? "",
        state: state.series[0]?.labels.state ?? "",
        health: health.series[0]?.labels.status ?? "",
        limit: limit.series[0]?.values[0] ?? null,
        started: started.series[0]?.values[0] ?? null,
        restarts: restarts.series[0]?.values[0] ?? null,
        compose: labels.container_label_com_docker_compose_project ?? "",
      };
    },
    [shared.tick],
  );
  if (error) return <Failure error={error} retry={shared.reload} />;
  if (!data) return <Loading height={40} />;
  const pairs: [string, React.ReactNode][] = [
    ["State", <StateBadge key="state" state={data.state} />],
    ["Health", data.health && data.health !== "none" ? <Badge key="h" kind={data.health === "unhealthy" ? "bad" : "good"}>{data.health}</Badge> : "no health check"],
    ["Image", data.image || "–"],
    ["Host", <Link key="host" to="host" params={{ instance: props.instance }}>{props.instance || "–"}</Link>],
    ["Started", data.started ? formatTime(data.started * 1000, shared.zone) : "–"],
    ["Restarts", formatValue(data.restarts)],
    ["Memory limit", data.limit ? formatValue(data.limit, "bytes") : "none"],
    ["Compose project", data.compose || "–"],
  ];
  return (
    <dl className="identity">
      {pairs.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{shownNode(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

interface Event {
  time: number;
  what: string;
  bad: boolean;
}

async function loadEvents(filter: string, from: number, to: number, signal: AbortSignal): Promise<Event[]> {
  const step = Math.max(5, (to - from) / 1000 / 1000);
  const ask = (query: string) => queryRange(query, from / 1000, to / 1000, step, signal);
  const [starts, ooms, exits, health] = await Promise.all([
    ask(`container_start_time_seconds{${filter}}`),
    ask(`container_oom_events_total{${filter}}`),
    ask(`container_state{${filter},state=~"exited|dead"} == 1`),
    ask(`container_health_status{${filter},status="unhealthy"}`),
  ]);
  const events: Event[] = [];
  for (const series of starts.series) {
    const seen = new Set(series.values.filter((value) => value * 1000 >= from));
    for (const value of seen) events.push({ time: value * 1000, what: "started", bad: false });
  }
  const rises = (values: number[], times: number[], what: string) => {
    values.forEach((value, i) => {
      if (i > 0 && value > values[i - 1]!) events.push({ time: times[i]! * 1000, what, bad: true });
    });
  };
  for (const series of ooms.series) rises(series.values, series.times, "out of memory: a process was killed");
  for (const series of health.series) rises(series.values, series.times, "unhealthy");
  for (const series of exits.series) if (series.times[0] !== undefined) events.push({ time: series.times[0] * 1000, what: series.labels.state ?? "exited", bad: true });
  return events.sort((a, b) => b.time - a.time);
}

function Events(props: { filter: string }) {
  const shared = useShared();
  const { from, to } = shared.resolved;
  const { data, error } = useLoad(`events/${props.filter}/${shared.range.from}`, (signal) => loadEvents(props.filter, from, to, signal), [shared.tick]);
  return (
    <Panel title="Events">
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : !data ? (
        <Loading height={60} />
      ) : data.length === 0 ? (
        <Empty>No start, exit, kill or failed health check in this range.</Empty>
      ) : (
        <Table
          label="Events"
          rows={data}
          max={50}
          rowKey={(event, i) => `${event.time}/${i}`}
          columns={[
            { title: "Time", by: (event) => event.time, cell: (event) => formatTime(event.time, shared.zone) },
            { title: "Event", cell: (event) => <Badge kind={event.bad ? "bad" : "good"}>{event.what}</Badge> },
          ]}
        />
      )}
    </Panel>
  );
}
