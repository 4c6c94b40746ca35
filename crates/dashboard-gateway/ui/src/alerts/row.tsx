// One alert: its head, and opened its expression, its logs, who is told.

import { useState } from "react";
import { removeAck, type Ack } from "../api/watchbell-alerts";
import { logsOf } from "../explore/open-logs";
import { Link } from "../parts/link";
import { QueryChart } from "../parts/query-chart";
import { Labels, Shown } from "../parts/shown";
import { Badge } from "../parts/states";
import { useShared } from "../state";
import { ago, formatTime } from "../time/range";
import { AckForm } from "./ack-form";
import { Explain } from "./explain";
import { comparison, type AlertRow } from "./rows";

export interface RowActions {
  open: string;
  onToggle: (key: string) => void;
  onSilence: (labels: Record<string, string>) => void;
  onPick: (name: string, value: string) => void;
  onChanged: () => void;
  acks: Map<string, Ack>;
}

export function AlertItem(props: RowActions & { row: AlertRow; groupLabels: string[] }) {
  const shared = useShared();
  const [acking, setAcking] = useState(false);
  const { row } = props;
  const { alertname, severity } = row.labels;
  const ack = props.acks.get(row.key);
  const open = props.open === row.key;
  return (
    <li className={`alert ${row.state}`}>
      <div className="alert-head">
        <Badge kind={row.state === "firing" ? (severity === "critical" ? "bad" : "warn") : "quiet"}>{row.state}</Badge>
        {severity && <Badge kind={row.state !== "firing" ? "quiet" : severity === "critical" ? "bad" : severity === "info" ? "info" : "warn"}>{severity}</Badge>}
        <button type="button" className="plain alert-title" onClick={() => props.onToggle(row.key)} aria-expanded={open}>
          <Shown text={row.annotations.summary || alertname} />
        </button>
        <span className="muted" title={formatTime(row.since, shared.zone)}>
          {ago(row.since, shared.now())}
        </span>
        {ack && (
          <Badge kind="info">
            acknowledged by <Shown text={ack.owner} />
          </Badge>
        )}
        <span className="grow" />
        <span className="muted">{row.receivers.length > 0 ? <Shown text={`to ${row.receivers.join(", ")}`} /> : row.state === "pending" ? "not sent yet" : ""}</span>
        {row.alert && row.state === "firing" && !ack && (
          <button type="button" aria-expanded={acking} onClick={() => setAcking(!acking)}>
            Acknowledge
          </button>
        )}
        {ack && (
          <button type="button" onClick={() => void removeAck(row.key).then(props.onChanged, () => props.onChanged())}>
            Take back
          </button>
        )}
        {row.state !== "silenced" && (
          <button type="button" onClick={() => props.onSilence(row.labels)}>
            Silence
          </button>
        )}
      </div>
      {acking && (
        <AckForm
          fingerprints={[row.key]}
          onDone={() => {
            setAcking(false);
            props.onChanged();
          }}
        />
      )}
      <p className="labels">
        <code>
          <Shown text={alertname} />
        </code>
        <Labels labels={row.labels} skip={["alertname", "severity", ...props.groupLabels]} onPick={props.onPick} />
      </p>
      {open && <AlertDetail row={row} ack={ack} />}
    </li>
  );
}

function AlertDetail(props: { row: AlertRow; ack: Ack | undefined }) {
  const shared = useShared();
  const { row, ack } = props;
  const [explained, setExplained] = useState(false);
  const { query } = row;
  const plot = query ? comparison(query) : undefined;
  const runbook = row.annotations.runbook_url ?? row.annotations.runbook;
  return (
    <div className="alert-detail">
      {row.annotations.description && (
        <p>
          <Shown text={row.annotations.description} />
        </p>
      )}
      {Object.entries(row.annotations)
        .filter(([key]) => !["summary", "description"].includes(key))
        .map(([key, value]) => (
          <p key={key}>
            <b>
              <Shown text={key} />
            </b>{" "}
            <Shown text={value} />
          </p>
        ))}
      <p className="muted">
        Since {formatTime(row.since, shared.zone)}
        {ack && `; acknowledged by ${ack.owner} until ${formatTime(ack.until, shared.zone)}${ack.comment ? `: ${ack.comment}` : ""}`}
      </p>
      {query && plot && (
        <QueryChart
          chart={() => ({ title: "Expression", query: plot.left, legend: "__auto", unit: "short" })}
          only={row.labels}
          threshold={plot.threshold}
          marks={[{ time: row.since / 1000, text: "this alert begins" }]}
          emptyText="The expression has no value in this range."
          height={140}
        />
      )}
      <p className="row-actions">
        {query && (
          <Link to="explore" params={{ metrics: query }}>
            Explore the expression
          </Link>
        )}
        {(row.labels.name ?? row.labels.container) && (
          <Link to="explore" params={{ logs: logsOf([row.labels]), from: String(row.since - 600_000), to: String(row.since + 600_000) }}>
            Log lines around the start
          </Link>
        )}
        {runbook && /^https?:\/\//.test(runbook) && (
          <a href={runbook} target="_blank" rel="noreferrer noopener">
            Runbook
          </a>
        )}
        <button type="button" aria-expanded={explained} onClick={() => setExplained(!explained)}>
          Who is told, and why
        </button>
      </p>
      {explained && <Explain labels={row.labels} />}
    </div>
  );
}
