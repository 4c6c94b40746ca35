// What fired in the range, and who was told.

import { history, isMissing, type AlertEvent } from "../api/watchbell-alerts";
import { matches, type SilenceMatcher } from "../api/alertmanager";
import { formatValue } from "../format/units";
import { Labels, Shown } from "../parts/shown";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useParam } from "../router";
import { useLoad, useShared } from "../state";
import { formatTime } from "../time/range";

const EVENTS_MAX = 2000;
const KINDS: [string, string, string[]][] = [
  ["all", "Everything", []],
  ["alerts", "Alerts", ["alert_firing", "alert_resolved"]],
  ["told", "Who was told", ["notification", "notification_lost"]],
  ["changes", "Silences and acknowledgements", ["silence_changed", "acknowledged", "acknowledgement_removed"]],
];

export function History(props: { matchers: SilenceMatcher[] | undefined }) {
  const shared = useShared();
  const [kind, setKind] = useParam("kind", "all");
  const { from, to } = shared.resolved;
  const { data, error, loading, busy } = useLoad(`history/${shared.range.from}/${shared.range.to}`, (signal) => history(from, to, EVENTS_MAX, signal), [shared.tick]);
  const types = KINDS.find(([name]) => name === kind)?.[2] ?? [];
  const filtered = (data ?? []).filter(
    (event) => (types.length === 0 || types.includes(event.type)) && (!props.matchers?.length || (event.labels !== undefined && matches(event.labels, props.matchers))),
  );
  return (
    <Panel
      title="History"
      busy={busy && !loading}
      actions={
        <select aria-label="Which events" value={kind} onChange={(event) => setKind(event.target.value)}>
          {KINDS.map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      }
    >
      {error ? (
        isMissing(error) ? <p className="note">This alert manager keeps no history.</p> : <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={200} />
      ) : filtered.length === 0 ? (
        <Empty>{data!.length === 0 ? "Nothing fired and nobody was told in this range." : "No event of this range passes the filter."}</Empty>
      ) : (
        <Table
          label="History"
          rows={filtered}
          rowKey={(event, i) => `${event.at}/${event.type}/${i}`}
          columns={[
            { title: "Time", by: (event) => event.at, className: "nobreak", cell: (event) => formatTime(event.at / 1e6, shared.zone) },
            { title: "Event", by: (event) => event.type, cell: (event) => <EventBadge event={event} /> },
            { title: "What", className: "long", cell: (event) => <What event={event} /> },
            { title: "To", by: (event) => event.receiver ?? "", className: "nobreak", cell: (event) => (event.receiver ? `${event.receiver}${event.integration ? ` (${event.integration})` : ""}` : "") },
            { title: "Took", numeric: true, by: (event) => event.took_ms ?? null, cell: (event) => (event.took_ms !== undefined ? formatValue(event.took_ms / 1000, "s") : "") },
          ]}
        />
      )}
    </Panel>
  );
}

function EventBadge(props: { event: AlertEvent }) {
  const { event } = props;
  const failed = Boolean(event.error);
  switch (event.type) {
    case "alert_firing":
      return <Badge kind="bad">fires</Badge>;
    case "alert_resolved":
      return <Badge kind="good">resolved</Badge>;
    case "notification":
      return <Badge kind={failed ? "bad" : "info"}>{failed ? "not delivered" : "told"}</Badge>;
    case "notification_lost":
      return <Badge kind="bad">never delivered</Badge>;
    case "acknowledged":
      return <Badge kind="info">acknowledged</Badge>;
    case "acknowledgement_removed":
      return <Badge kind="quiet">taken back</Badge>;
    case "silence_changed":
      return <Badge kind="quiet">silence</Badge>;
    default:
      return <Badge kind="quiet">{event.type.replace(/_/g, " ")}</Badge>;
  }
}

/** A group's labels, the last part of its key. */
const groupOf = (key = "") => key.slice(key.lastIndexOf(":{") + 1).replace(/^\{\}$/, "all alerts of the route");

const sizeOf = (what: number | string[] | undefined) => (Array.isArray(what) ? what.length : (what ?? 0));

function What(props: { event: AlertEvent }) {
  const { event } = props;
  const parts: string[] = [];
  if (event.type.startsWith("notification")) {
    parts.push(`${groupOf(event.group_key)}: ${sizeOf(event.firing)} firing, ${sizeOf(event.resolved)} resolved`);
    if (event.reason) parts.push(event.reason);
    if ((event.attempts ?? 1) > 1) parts.push(`${event.attempts} attempts`);
    if (event.answer) parts.push(`answer: ${event.answer}`);
  }
  if (event.matchers?.length) parts.push(event.matchers.join(", "));
  if (event.owner) parts.push(`by ${event.owner}`);
  if (event.created_by) parts.push(`by ${event.created_by}`);
  if (event.comment) parts.push(event.comment);
  return (
    <>
      {event.labels && <Labels labels={event.labels} />}
      {parts.length > 0 && <Shown text={parts.join("; ")} />}
      {[event.error, event.template_error].map((text, i) => text && <div key={i} className="bad-text"><Shown text={text} /></div>)}
    </>
  );
}
