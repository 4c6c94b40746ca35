// Home: is anything wrong? One sentence, firing alerts, three stats, four charts, the containers, the newest error lines.

import { alerts as loadAlerts, type Alert } from "../api/alertmanager";
import { ALL_LINES, queryLogs } from "../api/loki";
import { queryInstant, queryRange, serverStart, targets, type LabelSet, type QueryResult } from "../api/prometheus";
import { Sparkline } from "../charts/sparkline";
import { formatValue } from "../format/units";
import { LogView } from "../logs/log-view";
import { AlertItems } from "../parts/alert-items";
import { Link } from "../parts/link";
import { QueryChart } from "../parts/query-chart";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { navigate } from "../router";
import { useLoad, useShared } from "../state";
import { containerCharts, ERROR_LINES, HOST_CORES, HOST_CPU, HOST_MEMORY, HOST_MEMORY_TOTAL, hostCharts, RUNNING, TABLE } from "./queries";

/** A rate has a value after the second scrape. */
const FIRST_SAMPLES_MS = 60_000;
const FIRST_SAMPLES = "The first samples are on their way.";

/** Whether the metrics server has begun so lately that what is missing is only not there yet. */
function useYoung(): boolean {
  const shared = useShared();
  const { data: start } = useLoad("start", serverStart);
  return start !== undefined && shared.now() - start < FIRST_SAMPLES_MS;
}

export function Home() {
  const shared = useShared();
  const young = useYoung();
  const { data: firing, error } = useLoad("alerts", loadAlerts, [shared.tick]);
  const active = firing?.filter((alert) => alert.status.state === "active");
  return (
    <div className="page">
      <Headline active={active} error={error} />
      {active && active.length > 0 && <Firing alerts={active} />}
      <Stats young={young} />
      <div className="charts-2">
        {[0, 1, 2, 3].map((i) => (
          <QueryChart key={i} chart={(window) => containerCharts("", window)[i]!} emptyText={young ? FIRST_SAMPLES : "No container metrics in this range. Status says what the agent cannot read and what to grant."} />
        ))}
      </div>
      <Containers young={young} />
      <div className="charts-2">
        {[0, 1, 2, 3].map((i) => (
          <QueryChart key={i} height={120} chart={(window) => hostCharts("", window)[i]!} emptyText={young ? FIRST_SAMPLES : "No host metrics in this range. Targets shows whether the agent is scraped."} />
        ))}
      </div>
      <Lines />
    </div>
  );
}

function Headline(props: { active: Alert[] | undefined; error: Error | undefined }) {
  const shared = useShared();
  const { data } = useLoad("targets", targets, [shared.tick]);
  const down = data?.activeTargets.filter((target) => target.health === "down").length ?? 0;
  const count = props.active?.length;
  const bad = (count ?? 0) > 0 || down > 0;
  const parts = [
    count === undefined ? (props.error ? "The alert manager does not answer" : "Looking") : count === 0 ? "" : `${count} ${count === 1 ? "alert" : "alerts"} firing`,
    down > 0 ? `${down} ${down === 1 ? "target" : "targets"} down` : "",
  ].filter(Boolean);
  return (
    <h1 className={bad || props.error ? "headline bad-text" : "headline"}>
      {parts.length === 0 ? "All well" : parts.join(", ")}
    </h1>
  );
}

function Firing(props: { alerts: Alert[] }) {
  return (
    <Panel title="Firing" className="bad-panel" actions={<Link to="alerts">All alerts</Link>}>
      <AlertItems alerts={props.alerts.slice(0, 8)} />
      {props.alerts.length > 8 && <p className="muted">+{props.alerts.length - 8} more</p>}
    </Panel>
  );
}

function Stats(props: { young: boolean }) {
  const shared = useShared();
  const { data, error } = useLoad(
    "stats",
    async (signal) => {
      const queries = [RUNNING, HOST_CPU, HOST_CORES, HOST_MEMORY, HOST_MEMORY_TOTAL];
      const results = await Promise.all(queries.map((query) => queryInstant(query, undefined, signal)));
      return results.map((result) => result.series[0]?.values[0] ?? null);
    },
    [shared.tick],
  );
  if (error) return <Failure error={error} retry={shared.reload} />;
  const [running, cpu, cores, memory, total] = data ?? [];
  const stat = (title: string, value: string, detail: string) => (
    <section className="panel stat" key={title}>
      <h2>{title}</h2>
      <strong>{value}</strong>
      <span className="muted">{detail}</span>
    </section>
  );
  return (
    <div className="stats">
      {stat("Running containers", formatValue(running), running !== null ? "" : props.young ? FIRST_SAMPLES : "no container metrics: see Status")}
      {stat("CPU", formatValue(cpu, "cores"), cores ? `of ${formatValue(cores * 100, "percent")} on ${formatValue(cores)} cores` : "")}
      {stat("Memory", formatValue(memory, "bytes"), total ? `of ${formatValue(total, "bytes")}` : "")}
    </div>
  );
}

interface ContainerRow {
  name: string;
  instance: string;
  image: string;
  state: string;
  health: string;
  restarts: number | null;
  cpu: number | null;
  memory: number | null;
  trend: (number | null)[];
}

async function loadContainers(from: number, to: number, signal: AbortSignal): Promise<ContainerRow[]> {
  const step = Math.max(15, (to - from) / 1000 / 40);
  const instants = Object.values(TABLE).map((query) => queryInstant(query, undefined, signal));
  const [results, trend] = await Promise.all([Promise.all(instants), queryRange(TABLE.cpu, from / 1000, to / 1000, step, signal)]);
  const [state, health, restarts, cpu, memory] = results as [QueryResult, QueryResult, QueryResult, QueryResult, QueryResult];
  const rows = new Map<string, ContainerRow>();
  const row = (labels: LabelSet) => {
    const name = labels.name ?? "";
    const key = `${labels.instance}/${name}`;
    let found = rows.get(key);
    if (!found) {
      found = { name, instance: labels.instance ?? "", image: labels.image ?? "", state: "", health: "", restarts: null, cpu: null, memory: null, trend: [] };
      rows.set(key, found);
    }
    if (labels.image) found.image = labels.image;
    return found;
  };
  for (const one of state.series) row(one.labels).state = one.labels.state ?? "";
  for (const one of health.series) row(one.labels).health = one.labels.status ?? "";
  for (const one of restarts.series) row(one.labels).restarts = one.values[0] ?? null;
  for (const one of cpu.series) row(one.labels).cpu = one.values[0] ?? null;
  for (const one of memory.series) row(one.labels).memory = one.values[0] ?? null;
  for (const one of trend.series) row(one.labels).trend = one.values;
  return [...rows.values()].filter((one) => one.name !== "");
}

function Containers(props: { young: boolean }) {
  const shared = useShared();
  const { from, to } = shared.resolved;
  const { data, error, loading } = useLoad(`containers/${shared.range.from}/${shared.range.to}`, (signal) => loadContainers(from, to, signal), [shared.tick]);
  return (
    <Panel title="Containers">
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={160} />
      ) : data!.length === 0 && props.young ? (
        <Empty>{FIRST_SAMPLES}</Empty>
      ) : data!.length === 0 ? (
        <Empty action={<Link to="status">What the agent cannot read</Link>}>No containers have been seen. Let the agent read the Docker socket to see them.</Empty>
      ) : (
        <Table
          label="Containers"
          rows={data!}
          rowKey={(row) => `${row.instance}/${row.name}`}
          initial={{ column: "CPU", descending: true }}
          onRow={(row) => navigate("container", { name: row.name, instance: row.instance })}
          columns={[
            { title: "Name", by: (row) => row.name, cell: (row) => <Link to="container" params={{ name: row.name, instance: row.instance }}><Shown text={row.name} /></Link> },
            { title: "Host", by: (row) => row.instance, cell: (row) => row.instance, className: "nobreak" },
            { title: "State", by: (row) => row.state, cell: (row) => <StateBadge state={row.state || (row.cpu !== null ? "running" : "")} /> },
            { title: "Health", by: (row) => row.health, cell: (row) => (row.health && row.health !== "none" ? <Badge kind={row.health === "unhealthy" ? "bad" : "good"}>{row.health}</Badge> : <span className="muted">–</span>) },
            { title: "Restarts", numeric: true, by: (row) => row.restarts, cell: (row) => formatValue(row.restarts) },
            { title: "CPU", numeric: true, by: (row) => row.cpu, cell: (row) => formatValue(row.cpu, "cores") },
            { title: "Memory", numeric: true, by: (row) => row.memory, cell: (row) => formatValue(row.memory, "bytes") },
            { title: "CPU in range", cell: (row) => <Sparkline values={row.trend} label={`CPU of ${row.name}`} /> },
          ]}
        />
      )}
    </Panel>
  );
}

export function StateBadge(props: { state: string }) {
  const kind = props.state === "running" ? "good" : props.state === "" ? "quiet" : props.state === "exited" || props.state === "dead" ? "bad" : "warn";
  return <Badge kind={kind}>{props.state || "unknown"}</Badge>;
}

function Lines() {
  const shared = useShared();
  const { from, to } = shared.resolved;
  const { data, error, loading } = useLoad(
    `lines/${shared.range.from}/${shared.range.to}`,
    async (signal) => {
      const [errors, newest] = await Promise.all([
        queryLogs(ERROR_LINES, from, to, { limit: 100, signal }),
        queryLogs(ALL_LINES, from, to, { limit: 50, signal }),
      ]);
      return [errors, newest].map((answer) => (answer.kind === "lines" ? answer.logs.lines : []));
    },
    [shared.tick],
  );
  const list = (title: string, index: number, query: string, empty: string) => (
    <Panel title={title} actions={<Link to="explore" params={{ logs: query }}>Explore</Link>}>
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={160} />
      ) : data![index]!.length === 0 ? (
        <Empty>{empty}</Empty>
      ) : (
        <LogView lines={data![index]!} range={shared.resolved} histogram={false} height={260} />
      )}
    </Panel>
  );
  return (
    <div className="charts-2">
      {list("Newest error lines", 0, ERROR_LINES, "No line with error, fatal, panic or critical in this range.")}
      {list("Newest lines", 1, ALL_LINES, "No log lines in this range. Status says which sources cannot be read and what to grant.")}
    </div>
  );
}
