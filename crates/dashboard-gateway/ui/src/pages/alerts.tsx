// Alerts: firing, pending, silenced, resolved; silence in one click; who was told.

import { useMemo, useState } from "react";
import {
  alerts as loadAlerts,
  createSilence,
  expireSilence,
  formatMatcher,
  matches,
  parseMatchers,
  silences as loadSilences,
  type Alert,
  type Silence,
} from "../api/alertmanager";
import { status as loadStatus } from "../api/gateway";
import { ruleGroups, type LabelSet, type RuleAlert, type RuleGroup } from "../api/prometheus";
import { QueryChart } from "../parts/query-chart";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Labels, Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { Link } from "../parts/link";
import { useParam } from "../router";
import { useLoad, useShared } from "../state";
import { ago, formatTime, parseDuration } from "../time/range";

interface Row {
  key: string;
  state: "firing" | "pending" | "silenced" | "inhibited";
  labels: LabelSet;
  annotations: LabelSet;
  since: number;
  receivers: string[];
  query?: string;
  alert?: Alert;
}

export function Alerts() {
  const shared = useShared();
  const [filter, setFilter] = useParam("filter", "");
  const [tab, setTab] = useParam("tab", "alerts");
  const [open, setOpen] = useParam("open", "");
  const [silencing, setSilencing] = useState<LabelSet | undefined>();
  const { data, error, loading, busy } = useLoad(
    "alerts-page",
    async (signal) => {
      const [active, silences, metricRules, logRules] = await Promise.all([
        loadAlerts(signal),
        loadSilences(signal),
        ruleGroups("metrics", signal).catch(() => []),
        ruleGroups("logs", signal).catch(() => []),
      ]);
      return { active, silences, groups: [...metricRules, ...logRules] };
    },
    [shared.tick],
  );
  const matchers = useMemo(() => parseMatchers(filter), [filter]);
  const rows = useMemo(() => (data ? toRows(data.active, data.groups) : []), [data]);
  const shown = rows.filter((row) => !matchers || matches(row.labels, matchers));
  const counts = (state: Row["state"]) => rows.filter((row) => row.state === state).length;

  return (
    <div className="page">
      <h1>Alerts</h1>
      <NoReceiver />
      <div className="toolbar">
        <div className="tabs" role="tablist">
          {["alerts", "silences", "rules"].map((name) => (
            <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
              {name === "alerts" ? `Alerts (${rows.length})` : name === "silences" ? `Silences (${data?.silences.filter((s) => s.status.state !== "expired").length ?? 0})` : "Rules"}
            </button>
          ))}
        </div>
        <input className="grow" placeholder='Filter: severity="critical", name=~"web.*"' aria-label="Filter by matchers" value={filter} onChange={(event) => setFilter(event.target.value, true)} spellCheck={false} />
        {matchers === undefined && <span className="bad-text">cannot be read as matchers</span>}
      </div>
      {silencing && <SilenceForm labels={silencing} rows={rows} onDone={() => { setSilencing(undefined); shared.reload(); }} />}
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={240} />
      ) : tab === "silences" ? (
        <Silences silences={data!.silences} onChanged={shared.reload} onNew={() => setSilencing({})} />
      ) : tab === "rules" ? (
        <Rules groups={data!.groups} />
      ) : (
        <Panel title={`${counts("firing")} firing, ${counts("pending")} pending, ${counts("silenced")} silenced, ${counts("inhibited")} inhibited`} busy={busy}>
          {shown.length === 0 ? (
            <Empty>{rows.length === 0 ? "No alert is firing or pending." : "No alert passes the filter."}</Empty>
          ) : (
            <ul className="alerts">
              {shown.map((row) => (
                <AlertRow key={row.key} row={row} open={open === row.key} onToggle={() => setOpen(open === row.key ? null : row.key)} onSilence={() => setSilencing(row.labels)} />
              ))}
            </ul>
          )}
        </Panel>
      )}
    </div>
  );
}

function toRows(active: Alert[], groups: RuleGroup[]): Row[] {
  const queries = new Map(groups.flatMap((group) => group.rules.map((rule) => [rule.name, rule.query] as const)));
  const rows: Row[] = active.map((alert) => ({
    key: alert.fingerprint,
    state: alert.status.silencedBy.length > 0 ? "silenced" : alert.status.inhibitedBy.length > 0 ? "inhibited" : "firing",
    labels: alert.labels,
    annotations: alert.annotations,
    since: Date.parse(alert.startsAt),
    receivers: alert.receivers.map((receiver) => receiver.name),
    query: queries.get(alert.labels.alertname ?? ""),
    alert,
  }));
  const known = new Set(rows.map((row) => labelKey(row.labels)));
  const fromRule = (alert: RuleAlert, query: string): Row => ({
    key: `${alert.state}/${labelKey(alert.labels)}`,
    state: alert.state === "pending" ? "pending" : "firing",
    labels: alert.labels,
    annotations: alert.annotations,
    since: Date.parse(alert.activeAt),
    receivers: [],
    query,
  });
  for (const group of groups) {
    for (const rule of group.rules) {
      for (const alert of rule.alerts ?? []) {
        if (alert.state === "pending" || (alert.state === "firing" && !known.has(labelKey(alert.labels)))) rows.push(fromRule(alert, rule.query));
      }
    }
  }
  const weight = { firing: 0, pending: 1, inhibited: 2, silenced: 3 };
  return rows.sort((a, b) => weight[a.state] - weight[b.state] || b.since - a.since);
}

const labelKey = (labels: LabelSet) => JSON.stringify(Object.entries(labels).sort());

function AlertRow(props: { row: Row; open: boolean; onToggle: () => void; onSilence: () => void }) {
  const shared = useShared();
  const { row } = props;
  const { alertname, severity, ...rest } = row.labels;
  return (
    <li className={`alert ${row.state}`}>
      <div className="alert-head">
        <Badge kind={row.state === "firing" ? (severity === "critical" ? "bad" : "warn") : "quiet"}>{row.state}</Badge>
        {severity && <Badge kind={severity === "critical" ? "bad" : "warn"}>{severity}</Badge>}
        <button type="button" className="plain alert-title" onClick={props.onToggle} aria-expanded={props.open}>
          <Shown text={row.annotations.summary || alertname} />
        </button>
        <span className="muted">{ago(row.since, shared.now())}</span>
        <span className="grow" />
        <span className="muted">{row.receivers.length > 0 ? `to ${row.receivers.join(", ")}` : row.state === "pending" ? "not sent yet" : ""}</span>
        {row.state !== "silenced" && (
          <button type="button" onClick={props.onSilence}>
            Silence
          </button>
        )}
      </div>
      <p className="labels">
        <code>
          <Shown text={alertname} />
        </code>
        <Labels labels={rest} />
      </p>
      {props.open && <AlertDetail row={row} />}
    </li>
  );
}

function AlertDetail(props: { row: Row }) {
  const shared = useShared();
  const { row } = props;
  const { query } = row;
  const name = row.labels.name ?? row.labels.container;
  return (
    <div className="alert-detail">
      {row.annotations.description && <p><Shown text={row.annotations.description} /></p>}
      {Object.entries(row.annotations)
        .filter(([key]) => key !== "summary" && key !== "description")
        .map(([key, value]) => (
          <p key={key}>
            <b><Shown text={key} /></b> <Shown text={value} />
          </p>
        ))}
      <p className="muted">Since {formatTime(row.since, shared.zone)}</p>
      {query && <QueryChart chart={() => ({ title: "Expression", query: plotted(query), legend: "__auto", unit: "short" })} emptyText="The expression has no value in this range." height={140} />}
      <p className="row-actions">
        {query && <Link to="explore" params={{ metrics: query }}>Explore the expression</Link>}
        {name && (
          <Link to="explore" params={{ logs: `{container=${JSON.stringify(name)}}`, from: String(row.since - 600_000), to: String(row.since + 600_000) }}>
            Log lines around the start
          </Link>
        )}
      </p>
    </div>
  );
}

/** The left side of a comparison with a number shows more than the comparison itself. */
export function plotted(query: string): string {
  const match = /^([\s\S]+?)\s*(?:==|!=|>=|<=|>|<)\s*-?[\d.]+(?:e[+-]?\d+)?\s*$/.exec(query);
  if (!match) return query;
  const depth = [...match[1]!].reduce((sum, c) => sum + (c === "(" ? 1 : c === ")" ? -1 : 0), 0);
  return depth === 0 && !/\b(and|or|unless)\b/.test(match[1]!) ? match[1]! : query;
}

function NoReceiver() {
  const { data } = useLoad("receivers", (signal) => loadStatus(signal));
  if (!data || data.receivers.length === 0) return null;
  if (data.receivers.some((receiver) => receiver.integrations > 0)) return null;
  return (
    <p className="note warn" role="status">
      No receiver is configured: alerts are shown here but sent to no one. See “Get paged” in the README, or conf/alertmanager.yaml.
    </p>
  );
}

function SilenceForm(props: { labels: LabelSet; rows: Row[]; onDone: () => void }) {
  const shared = useShared();
  const initial = Object.entries(props.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ");
  const [text, setText] = useState(initial);
  const [length, setLength] = useState("2h");
  const [comment, setComment] = useState("");
  const [failure, setFailure] = useState<Error | undefined>();
  const matchers = parseMatchers(text);
  const ms = parseDuration(length);
  const hits = matchers && matchers.length > 0 ? props.rows.filter((row) => matches(row.labels, matchers)).length : 0;
  const ready = matchers !== undefined && matchers.length > 0 && ms !== undefined && comment.trim() !== "";
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    const now = shared.now();
    createSilence({
      matchers,
      startsAt: new Date(now).toISOString(),
      endsAt: new Date(now + ms).toISOString(),
      createdBy: shared.session.user,
      comment: comment.trim(),
    }).then(props.onDone, (error: unknown) => setFailure(error instanceof Error ? error : new Error(String(error))));
  };
  return (
    <Panel title="New silence">
      <form className="silence-form" onSubmit={submit}>
        <label>
          Matchers
          <input value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} />
        </label>
        <p className={matchers && matchers.length > 0 ? "muted" : "bad-text"}>
          {matchers && matchers.length > 0 ? `Matches ${hits} of the alerts shown.` : 'Write at least one matcher, such as alertname="TargetDown".'}
        </p>
        <label>
          For
          <input value={length} onChange={(event) => setLength(event.target.value)} list="lengths" size={8} />
          <datalist id="lengths">
            {["30m", "1h", "2h", "4h", "8h", "1d", "1w"].map((option) => (
              <option key={option} value={option} />
            ))}
          </datalist>
        </label>
        <label>
          Comment
          <input value={comment} onChange={(event) => setComment(event.target.value)} placeholder="Why, for whoever looks next" />
        </label>
        <p className="row-actions">
          <button type="submit" className="primary" disabled={!ready}>
            Silence
          </button>
          <button type="button" onClick={props.onDone}>
            Cancel
          </button>
        </p>
        {failure && <Failure error={failure} />}
      </form>
    </Panel>
  );
}

function Silences(props: { silences: Silence[]; onChanged: () => void; onNew: () => void }) {
  const shared = useShared();
  const [failure, setFailure] = useState<Error | undefined>();
  const expire = (id: string) => expireSilence(id).then(props.onChanged, (error: unknown) => setFailure(error instanceof Error ? error : new Error(String(error))));
  return (
    <Panel title="Silences" actions={<button type="button" onClick={props.onNew}>New silence</button>}>
      {failure && <Failure error={failure} />}
      {props.silences.length === 0 ? (
        <Empty>No silence has been set.</Empty>
      ) : (
        <Table
          label="Silences"
          rows={props.silences}
          rowKey={(silence) => silence.id}
          columns={[
            { title: "State", by: (s) => s.status.state, cell: (s) => <Badge kind={s.status.state === "active" ? "info" : "quiet"}>{s.status.state}</Badge> },
            { title: "Matchers", cell: (s) => <code><Shown text={s.matchers.map(formatMatcher).join(", ")} /></code> },
            { title: "Comment", cell: (s) => s.comment },
            { title: "By", by: (s) => s.createdBy, cell: (s) => s.createdBy },
            { title: "Ends", by: (s) => Date.parse(s.endsAt), cell: (s) => formatTime(Date.parse(s.endsAt), shared.zone) },
            { title: "", cell: (s) => s.status.state !== "expired" && <button type="button" onClick={() => void expire(s.id)}>Expire</button> },
          ]}
        />
      )}
    </Panel>
  );
}

function Rules(props: { groups: RuleGroup[] }) {
  const rows = props.groups.flatMap((group) => group.rules.map((rule) => ({ group, rule })));
  if (rows.length === 0) return <Empty>No rules are loaded. Status says whether a rule_files pattern matches nothing.</Empty>;
  return (
    <Panel title={`${rows.length} rules in ${props.groups.length} groups`}>
      <Table
        label="Rules"
        rows={rows}
        rowKey={({ group, rule }, i) => `${group.file}/${group.name}/${rule.name}/${i}`}
        columns={[
          { title: "Group", by: ({ group }) => group.name, cell: ({ group }) => group.name },
          { title: "Rule", by: ({ rule }) => rule.name, cell: ({ rule }) => rule.name },
          { title: "State", by: ({ rule }) => rule.state ?? "", cell: ({ rule }) => (rule.state ? <Badge kind={rule.state === "firing" ? "bad" : rule.state === "pending" ? "warn" : "good"}>{rule.state}</Badge> : "recording") },
          { title: "Health", by: ({ rule }) => rule.health, cell: ({ rule }) => (rule.lastError ? <span className="bad-text"><Shown text={rule.lastError} /></span> : rule.health) },
          { title: "Expression", cell: ({ rule }) => <Link to="explore" params={{ metrics: rule.query }}><code><Shown text={rule.query} /></code></Link>, className: "expression" },
        ]}
      />
    </Panel>
  );
}
