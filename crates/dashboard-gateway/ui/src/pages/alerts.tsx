// Alerts: what fires and who is told, silences, history, routing, receivers, rules.

import { useMemo, useState } from "react";
import { alertGroups, alerts as loadAlerts, matches, parseMatchers, silences as loadSilences } from "../api/alertmanager";
import { status as loadStatus } from "../api/gateway";
import { ruleGroups, type LabelSet } from "../api/prometheus";
import { acksInForce, history } from "../api/watchbell-alerts";
import { History } from "../alerts/history";
import { AlertList } from "../alerts/list";
import { Receivers } from "../alerts/receivers";
import { Routing } from "../alerts/routing";
import { toRows, type AlertRow } from "../alerts/rows";
import { Rules } from "../alerts/rules";
import { SilenceForm, Silences } from "../alerts/silences";
import { Failure, Loading } from "../parts/states";
import { useParam } from "../router";
import { useLoad, useShared } from "../state";

const TABS = ["alerts", "silences", "history", "routing", "receivers", "rules"] as const;
/** Acknowledgements last a day unless said otherwise; older events than this are not asked for. */
const ACKS_REACH_MS = 7 * 86_400_000;

export function Alerts() {
  const shared = useShared();
  const [filter, setFilter] = useParam("filter", "");
  const [tab, setTab] = useParam("tab", "alerts");
  const [open, setOpen] = useParam("open", "");
  const [silencing, setSilencing] = useState<LabelSet | undefined>();
  const { data, error, loading, busy } = useLoad(
    "alerts-page",
    async (signal) => {
      const [active, groups, silences, metricRules, logRules] = await Promise.all([
        loadAlerts(signal),
        alertGroups(signal),
        loadSilences(signal),
        ruleGroups("metrics", signal).catch(() => []),
        ruleGroups("logs", signal).catch(() => []),
      ]);
      const now = shared.now();
      const events = active.length > 0 ? await history(now - ACKS_REACH_MS, now + 60_000, 5000, signal).catch(() => []) : [];
      return { active, groups, silences, rules: [...metricRules, ...logRules], acks: acksInForce(events, now) };
    },
    [shared.tick],
  );
  const matchers = useMemo(() => parseMatchers(filter), [filter]);
  const rows = useMemo(() => (data ? toRows(data.active, data.rules) : []), [data]);
  const shown = rows.filter((row) => !matchers || matches(row.labels, matchers));
  const titles: Record<(typeof TABS)[number], string> = {
    alerts: `Alerts (${rows.length})`,
    silences: `Silences (${data?.silences.filter((one) => one.status.state !== "expired").length ?? 0})`,
    history: "History",
    routing: "Routing",
    receivers: "Receivers",
    rules: `Rules (${data?.rules.reduce((sum, group) => sum + group.rules.length, 0) ?? 0})`,
  };
  const pick = (name: string, value: string) => setFilter([filter.trim(), `${name}=${JSON.stringify(value)}`].filter(Boolean).join(", "));
  const actions = {
    open,
    onToggle: (key: string) => setOpen(open === key ? null : key),
    onSilence: setSilencing,
    onPick: pick,
    onChanged: shared.reload,
    acks: data?.acks ?? new Map(),
  };

  return (
    <div className="page">
      <h1>Alerts</h1>
      <NoReceiver />
      <div className="toolbar">
        <div className="tabs" role="tablist" aria-label="Alerts">
          {TABS.map((name) => (
            <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
              {titles[name]}
            </button>
          ))}
        </div>
        {(tab === "alerts" || tab === "history") && (
          <input
            className="grow"
            placeholder='Filter: severity="critical", name=~"web.*"'
            aria-label="Filter by matchers"
            aria-invalid={matchers === undefined}
            value={filter}
            onChange={(event) => setFilter(event.target.value, true)}
            spellCheck={false}
          />
        )}
        {matchers === undefined && <span className="bad-text">cannot be read as matchers</span>}
      </div>
      {silencing && (
        <SilenceForm
          key={JSON.stringify(silencing)}
          labels={silencing}
          rows={rows}
          onDone={() => {
            setSilencing(undefined);
            shared.reload();
          }}
        />
      )}
      {tab === "history" ? (
        <History matchers={matchers} />
      ) : tab === "routing" ? (
        <Routing />
      ) : tab === "receivers" ? (
        <Receivers />
      ) : error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={240} />
      ) : tab === "silences" ? (
        <Silences silences={data!.silences} rows={rows} onChanged={shared.reload} onNew={setSilencing} />
      ) : tab === "rules" ? (
        <Rules groups={data!.rules} />
      ) : (
        <AlertList rows={shown} all={rows as AlertRow[]} groups={data!.groups} busy={busy} actions={actions} />
      )}
    </div>
  );
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
