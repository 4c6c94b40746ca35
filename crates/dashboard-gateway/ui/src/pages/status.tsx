// Status: services, versions, retention, notices, what the agent cannot read and why, the account.

import { useState } from "react";
import { changePassword, status as loadStatus } from "../api/gateway";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown, shownNode } from "../parts/shown";
import { Table } from "../parts/table";
import { basePath, useParam } from "../router";
import { CardinalityTab } from "../status/cardinality";
import { ConfigurationTab } from "../status/configuration";
import { useLoad, useShared } from "../state";

const TABS: [string, string][] = [
  ["services", "Services"],
  ["cardinality", "Cardinality"],
  ["configuration", "Configuration"],
];

export function Status() {
  const [tab, setTab] = useParam("tab", "services");
  return (
    <div className="page">
      <div className="page-head">
        <h1>Status</h1>
        <div className="tabs" role="tablist" aria-label="Status">
          {TABS.map(([name, title]) => (
            <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
              {title}
            </button>
          ))}
        </div>
      </div>
      {tab === "cardinality" ? <CardinalityTab /> : tab === "configuration" ? <ConfigurationTab /> : <Services />}
    </div>
  );
}

function Services() {
  const shared = useShared();
  const { data, error, loading, busy } = useLoad("status", loadStatus, [shared.tick]);
  return (
    <>
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={300} />
      ) : (
        <>
          <div className="cards">
            {data!.services.map((service) => (
              <Panel
                key={service.name}
                title={service.name}
                busy={busy}
                actions={<Badge kind={!service.healthy ? "bad" : service.ready ? "good" : "warn"}>{!service.healthy ? "away" : service.ready ? "ready" : "starting"}</Badge>}
              >
                <dl className="pairs">
                  <Pair name="Address" value={service.url || `${window.location.origin}${basePath} (this page)`} />
                  <dt>Version</dt>
                  <dd>{service.version ?? "–"}</dd>
                  {Object.entries(service.details).map(([name, value]) => (
                    <Pair key={name} name={name} value={value} />
                  ))}
                </dl>
                {service.error && <pre className="bad-text"><Shown text={service.error} /></pre>}
                {service.config_error && (
                  <div className="failure">
                    <b>The last reload failed; the old configuration is in use.</b>
                    <pre><Shown text={service.config_error} /></pre>
                  </div>
                )}
              </Panel>
            ))}
          </div>
          {data!.notices.length > 0 && (
            <Panel title="Notices">
              <Table
                label="Notices"
                rows={data!.notices}
                rowKey={(_notice, i) => String(i)}
                columns={[
                  { title: "Severity", by: (n) => n.severity, cell: (n) => <Badge kind={n.severity === "error" ? "bad" : n.severity === "info" ? "quiet" : "warn"}>{n.severity}</Badge> },
                  { title: "From", by: (n) => n.source, cell: (n) => n.source, className: "nobreak" },
                  { title: "What", cell: (n) => n.text, className: "long" },
                ]}
              />
            </Panel>
          )}
          <Panel title="What the agents cannot read">
            {data!.agents.every((agent) => agent.unreadable.length === 0) ? (
              <Empty>{data!.agents.length === 0 ? "No agent has been found among the targets." : "Everything can be read."}</Empty>
            ) : (
              <Table
                label="What cannot be read"
                rows={data!.agents.flatMap((agent) => agent.unreadable.map((what) => ({ ...what, target: agent.target })))}
                rowKey={(_row, i) => String(i)}
                columns={[
                  { title: "Agent", by: (row) => row.target, cell: (row) => row.target, className: "nobreak" },
                  { title: "What", by: (row) => row.what, cell: (row) => row.what },
                  { title: "Why", cell: (row) => row.why, className: "long" },
                  { title: "What to grant", cell: (row) => row.grant, className: "long" },
                ]}
              />
            )}
          </Panel>
          <Panel title="Receivers">
            {data!.receivers.length === 0 ? (
              <Empty>The alert manager does not say which receivers it has.</Empty>
            ) : (
              <Table
                label="Receivers"
                rows={data!.receivers}
                rowKey={(row) => row.name}
                columns={[
                  { title: "Receiver", by: (row) => row.name, cell: (row) => row.name },
                  { title: "Integrations", numeric: true, by: (row) => row.integrations, cell: (row) => row.integrations },
                  { title: "Last error", cell: (row) => (row.last_error ? <span className="bad-text"><Shown text={row.last_error} /></span> : "none") },
                ]}
              />
            )}
          </Panel>
        </>
      )}
      <Password />
    </>
  );
}

function Pair(props: { name: string; value: string }) {
  return (
    <>
      <dt>{shownNode(props.name)}</dt>
      <dd>{shownNode(props.value)}</dd>
    </>
  );
}

function Password() {
  const shared = useShared();
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [message, setMessage] = useState<{ good: boolean; text: string } | undefined>();
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    changePassword(old, next).then(
      () => {
        setMessage({ good: true, text: "The password is changed." });
        setOld("");
        setNext("");
      },
      (error: unknown) => setMessage({ good: false, text: error instanceof Error ? error.message : String(error) }),
    );
  };
  return (
    <Panel title={`Password of ${shared.session.user}`}>
      <form className="inline-form" onSubmit={submit}>
        <label>
          Present password
          <input type="password" autoComplete="current-password" value={old} onChange={(event) => setOld(event.target.value)} />
        </label>
        <label>
          New password
          <input type="password" autoComplete="new-password" minLength={8} value={next} onChange={(event) => setNext(event.target.value)} />
        </label>
        <button type="submit" disabled={old === "" || next.length < 8}>
          Change
        </button>
        {message && <span className={message.good ? "good-text" : "bad-text"}>{message.text}</span>}
      </form>
    </Panel>
  );
}
