// Who is told of an alert with given labels, and what keeps it back.

import { useEffect } from "react";
import { explain, timeOf, type ExplainedRoute } from "../api/watchbell-alerts";
import { formatValue } from "../format/units";
import { Labels, Shown } from "../parts/shown";
import { Badge, Failure, Loading } from "../parts/states";
import type { LabelSet } from "../api/prometheus";
import { useLoad, useShared } from "../state";
import { ago } from "../time/range";

/** `onTaken` hears the group keys of the routes that take the alert. */
export function Explain(props: { labels: LabelSet; at?: string; onTaken?: (groupKeys: string[]) => void }) {
  const { labels, at, onTaken } = props;
  const { data, error, loading } = useLoad(`explain/${JSON.stringify([labels, at])}`, () => explain(labels, true, at));
  useEffect(() => onTaken?.(data?.routes.map((route) => route.groupKey ?? "") ?? []), [data, onTaken]);
  if (error) return <Failure error={error} />;
  if (loading) return <Loading height={80} />;
  const quiet = [...data!.silencedBy.map((by) => `a silence (${plain(by)})`), ...data!.inhibitedBy.map((by) => `another alert (${plain(by)})`)];
  return (
    <div className="explain">
      {data!.verdict && (
        <p>
          <b>
            <Shown text={data!.verdict} />
          </b>
        </p>
      )}
      {quiet.length > 0 && (
        <p className="note">
          Kept back by <Shown text={quiet.join(", ")} />
        </p>
      )}
      {data!.routes.length === 0 && <p className="muted">No route takes it.</p>}
      {data!.routes.map((route, i) => (
        <Route key={i} route={route} />
      ))}
    </div>
  );
}

const plain = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function Route(props: { route: ExplainedRoute }) {
  const shared = useShared();
  const { route } = props;
  const waits: [string, number | undefined][] = [
    ["first after", route.groupWaitSeconds],
    ["news every", route.groupIntervalSeconds],
    ["repeated every", route.repeatIntervalSeconds],
  ];
  // The root matches everything and says nothing.
  const path = (route.path ?? []).filter((matchers) => matchers !== "{}");
  const muted = [...(route.mutedBy ?? []), ...(route.inactive ?? [])];
  const next = timeOf(route.group?.nextFlush);
  return (
    <section className="explain-route">
      <p className="row-actions">
        {path.length > 0 && (
          <span className="muted">
            <Shown text={path.join(" › ")} /> ›
          </span>
        )}
        <Badge kind="info">{route.receiver}</Badge>
        {muted.length > 0 && <Badge kind="warn">{`muted by ${muted.join(", ")}`}</Badge>}
        {route.group && <span className="muted">{route.group.alerts} in the group{next ? `, next told ${ago(next, shared.now())}` : ""}</span>}
      </p>
      <p className="row-actions muted">
        {waits.flatMap(([what, seconds]) => (seconds === undefined ? [] : [<span key={what}>{`${what} ${formatValue(seconds, "s")}`}</span>]))}
        {route.groupLabels && Object.keys(route.groupLabels).length > 0 && <span>grouped as</span>}
        {route.groupLabels && <Labels labels={route.groupLabels} />}
      </p>
      {route.integrations?.map((one) => {
        const told = timeOf(one.lastTold);
        return (
          <p key={one.integration} className="muted">
            {one.integration}: {told ? `last told ${ago(told, shared.now())}` : "not told of this group yet"}
          </p>
        );
      })}
      {route.rendered?.map((one, i) => (
        <details key={i}>
          <summary>What {one.integration} would send</summary>
          {one.error ? (
            <pre className="bad-text">
              <Shown text={one.error} />
            </pre>
          ) : (
            one.requests?.map((request, j) => (
              <pre key={j} className="raw" tabIndex={0}>
                <Shown text={`${request.method} ${request.host}\n\n${request.body}`} />
              </pre>
            ))
          )}
        </details>
      ))}
    </section>
  );
}
