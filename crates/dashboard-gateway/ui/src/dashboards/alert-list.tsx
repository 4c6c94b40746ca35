// The alerts of now, in a panel.

import { alerts, matches, parseMatchers } from "../api/alertmanager";
import { AlertItems } from "../parts/alert-items";
import { Empty, Failure, Loading } from "../parts/states";
import { useLoad, useShared } from "../state";
import type { PanelModel } from "./model";
import { interpolate, type Scope } from "./variables";

export function AlertListPanel(props: { panel: PanelModel; scope: Scope }) {
  const shared = useShared();
  const { data, error, loading } = useLoad("alert-list", alerts, [shared.tick]);
  const { alertInstanceLabelFilter, alertName, maxItems } = props.panel.options as { alertInstanceLabelFilter?: string; alertName?: string; maxItems?: number };
  if (error) return <Failure error={error} />;
  if (loading) return <Loading height={80} />;
  const matchers = parseMatchers(interpolate(alertInstanceLabelFilter ?? "", props.scope, "text")) ?? [];
  const shown = data!
    .filter((alert) => alert.status.state === "active" && matches(alert.labels, matchers) && (!alertName || (alert.labels.alertname ?? "").includes(alertName)))
    .slice(0, maxItems ?? 20);
  if (shown.length === 0) return <Empty>No alert is firing.</Empty>;
  return <AlertItems alerts={shown} />;
}
