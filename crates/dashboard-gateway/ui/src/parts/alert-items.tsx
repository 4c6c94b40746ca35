// Alerts as a short list: severity, summary, since when; each leads to its row on Alerts.

import type { Alert } from "../api/alertmanager";
import { useShared } from "../state";
import { ago } from "../time/range";
import { Link } from "./link";
import { Shown } from "./shown";
import { Badge } from "./states";

export function AlertItems(props: { alerts: Alert[] }) {
  const shared = useShared();
  return (
    <ul className="alert-list">
      {props.alerts.map((alert) => (
        <li key={alert.fingerprint}>
          <Badge kind={alert.labels.severity === "critical" ? "bad" : "warn"}>{alert.labels.severity ?? "alert"}</Badge>
          <Link to="alerts" params={{ open: alert.fingerprint }}>
            <Shown text={alert.annotations.summary || alert.labels.alertname} />
          </Link>
          <span className="muted">{ago(Date.parse(alert.startsAt), shared.now())}</span>
        </li>
      ))}
    </ul>
  );
}
