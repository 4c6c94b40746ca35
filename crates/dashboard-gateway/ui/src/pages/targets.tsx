// Targets: what is scraped, whether it answers, and what was dropped.

import { queryInstant, targets as loadTargets, type Target, type Targets as LoadedTargets } from "../api/prometheus";
import { formatValue } from "../format/units";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Labels, Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { Link } from "../parts/link";
import { useParam } from "../router";
import { useLoad, useShared } from "../state";
import { ago } from "../time/range";
import { HOSTS } from "./queries";

/** The rule that dropped a target, as the server tells it. */
function droppedBy(target: LoadedTargets["droppedTargets"][number]): string {
  if (target.relabelRule === undefined || target.relabelRule === null) return target.droppedBy ?? "";
  const rule = typeof target.relabelRule === "string" ? target.relabelRule : JSON.stringify(target.relabelRule);
  return `relabel_configs[${target.relabelIndex ?? "?"}]: ${rule}`;
}

export function Targets() {
  const shared = useShared();
  const [search, setSearch] = useParam("search", "");
  const { data, error, loading, busy } = useLoad("targets", loadTargets, [shared.tick]);
  const { data: named } = useLoad("targets/hosts", (signal) => queryInstant(HOSTS, undefined, signal), [shared.tick]);
  const hosts = new Set(named?.series.map(({ labels }) => labels.instance));
  if (error) return <div className="page"><h1>Targets</h1><Failure error={error} retry={shared.reload} /></div>;
  if (loading) return <div className="page"><h1>Targets</h1><Loading height={300} /></div>;
  const all = data!.activeTargets;
  const shown = all.filter((target) => `${target.scrapeUrl} ${Object.values(target.labels).join(" ")}`.toLowerCase().includes(search.toLowerCase()));
  const pools = [...new Set(shown.map((target) => target.scrapePool))].sort();
  const up = all.filter((target) => target.health === "up").length;
  const dropped = data!.droppedTargets ?? [];
  return (
    <div className="page">
      <h1>
        Targets: {up} of {all.length} up
      </h1>
      <div className="toolbar">
        <input className="grow" placeholder="Search addresses and labels" aria-label="Search targets" value={search} onChange={(event) => setSearch(event.target.value, true)} />
      </div>
      {all.length === 0 && <Empty>No target is configured. Add a scrape_configs entry to conf/prometheus.yaml.</Empty>}
      {pools.map((pool) => (
        <Panel key={pool} title={pool} busy={busy}>
          <Table
            label={`Targets of ${pool}`}
            rows={shown.filter((target) => target.scrapePool === pool)}
            rowKey={(target) => target.scrapeUrl}
            initial={{ column: "Health", descending: false }}
            columns={[
              { title: "Health", by: (t: Target) => t.health, cell: (t) => <Badge kind={t.health === "up" ? "good" : t.health === "down" ? "bad" : "quiet"}>{t.health}</Badge> },
              { title: "Address", by: (t) => t.scrapeUrl, cell: (t) => <code><Shown text={t.scrapeUrl} /></code>, className: "nobreak" },
              { title: "Labels", cell: (t) => <Labels labels={t.labels} />, className: "long" },
              { title: "Last scrape", by: (t) => Date.parse(t.lastScrape), cell: (t) => (t.lastScrape.startsWith("0001") ? `first one within ${t.scrapeInterval}` : ago(Date.parse(t.lastScrape), shared.now())) },
              { title: "Took", numeric: true, by: (t) => t.lastScrapeDuration, cell: (t) => formatValue(t.lastScrapeDuration, "s") },
              { title: "Error", cell: (t) => <span className="bad-text"><Shown text={t.lastError} /></span>, className: "long" },
              { title: "", cell: (t) => hosts.has(t.labels.instance) && <Link to="host" params={{ instance: t.labels.instance! }}>Host</Link> },
            ]}
          />
        </Panel>
      ))}
      {dropped.length > 0 && (
        <Panel title={`${dropped.length} dropped by relabelling`}>
          <Table
            label="Dropped targets"
            rows={dropped}
            max={100}
            rowKey={(_target, i) => String(i)}
            columns={[
              { title: "Discovered labels", cell: (t) => <Labels labels={t.discoveredLabels} />, className: "long" },
              { title: "Dropped by", className: "long", cell: (t) => droppedBy(t) },
            ]}
          />
        </Panel>
      )}
    </div>
  );
}
