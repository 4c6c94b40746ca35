// What a host is, and its logs.

import { queryInstant } from "../api/prometheus";
import { formatValue } from "../format/units";
import { shownNode } from "../parts/shown";
import { Failure, Loading } from "../parts/states";
import { useLoad, useShared } from "../state";
import { Logs } from "./logs-panel";
import { byHost } from "./queries";

export function HostIdentity(props: { instance: string }) {
  const shared = useShared();
  const filter = byHost(props.instance);
  const { data, error } = useLoad(
    `host/${props.instance}`,
    async (signal) => {
      const ask = (query: string) => queryInstant(query, shared.resolved.to / 1000, signal);
      const [uname, cores, memory, boot, load, root] = await Promise.all([
        ask(`node_uname_info{${filter}}`),
        ask(`count(count by (cpu) (node_cpu_seconds_total{${filter}}))`),
        ask(`node_memory_MemTotal_bytes{${filter}}`),
        ask(`time() - node_boot_time_seconds{${filter}}`),
        ask(`node_load1{${filter}}`),
        ask(`max(1 - node_filesystem_avail_bytes{${filter},fstype!~"tmpfs|overlay|squashfs|iso9660"} / (node_filesystem_size_bytes{${filter},fstype!~"tmpfs|overlay|squashfs|iso9660"} > 0))`),
      ]);
      const one = (result: typeof cores) => result.series[0]?.values[0] ?? null;
      return { labels: uname.series[0]?.labels ?? {}, cores: one(cores), memory: one(memory), up: one(boot), load: one(load), disk: one(root) };
    },
    [shared.tick],
  );
  if (error) return <Failure error={error} retry={shared.reload} />;
  if (!data) return <Loading height={40} />;
  const pairs: [string, string][] = [
    ["Name", data.labels.nodename ?? "–"],
    ["System", [data.labels.sysname, data.labels.release, data.labels.machine].filter(Boolean).join(" ") || "–"],
    ["Cores", formatValue(data.cores)],
    ["Memory", formatValue(data.memory, "bytes")],
    ["Up for", formatValue(data.up, "s")],
    ["Load, 1 min", formatValue(data.load)],
    ["Fullest disk", formatValue(data.disk, "percentunit")],
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

/** Logs carry the host's own name, metrics the address that is scraped. */
export function HostLogs(props: { instance: string }) {
  const { data } = useLoad(`hostname/${props.instance}`, (signal) => queryInstant(`node_uname_info{${byHost(props.instance)}}`, undefined, signal));
  const name = data?.series[0]?.labels.nodename;
  return name ? <Logs query={`{host=${JSON.stringify(name)}}`} /> : null;
}
