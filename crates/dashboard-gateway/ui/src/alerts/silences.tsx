// Silences: those there are, and a new one with what it would mute.

import { useState } from "react";
import { createSilence, expireSilence, formatMatcher, matches, parseMatchers, type Silence } from "../api/alertmanager";
import { previewSilence } from "../api/watchbell-alerts";
import type { LabelSet } from "../api/prometheus";
import { Labels, Shown } from "../parts/shown";
import { Badge, Empty, Failure, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useLoad, useShared } from "../state";
import { ago, formatTime, parseDuration } from "../time/range";
import type { AlertRow } from "./rows";

const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const LENGTHS = ["30m", "1h", "2h", "4h", "8h", "1d", "1w"];

export function SilenceForm(props: { labels: LabelSet; rows: AlertRow[]; onDone: () => void }) {
  const shared = useShared();
  const [text, setText] = useState(Object.entries(props.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", "));
  const [length, setLength] = useState("2h");
  const [comment, setComment] = useState("");
  const [untilResolved, setUntilResolved] = useState(false);
  const [recurrence, setRecurrence] = useState("");
  const [warnBefore, setWarnBefore] = useState("");
  const [failure, setFailure] = useState<Error | undefined>();
  const matchers = parseMatchers(text);
  const ms = parseDuration(length);
  const some = matchers !== undefined && matchers.length > 0;
  const ready = some && ms !== undefined && comment.trim() !== "";
  const hits = some ? props.rows.filter((row) => matches(row.labels, matchers)) : [];
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
      ...wishes(untilResolved, recurrence.trim(), warnBefore),
    }).then(props.onDone, (error: unknown) => setFailure(error instanceof Error ? error : new Error(String(error))));
  };
  return (
    <Panel title="New silence">
      <form className="silence-form" onSubmit={submit}>
        <label>
          Matchers
          <input value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} placeholder='alertname="TargetDown", instance=~"web.*"' />
        </label>
        {some ? (
          <div className="preview">
            <p className="muted">
              Mutes {hits.length} of {props.rows.length} alerts that fire or are pending now.
            </p>
            {hits.slice(0, 5).map((row) => (
              <Labels key={row.key} labels={row.labels} />
            ))}
            <PastPreview matchers={matchers.map(formatMatcher)} />
          </div>
        ) : (
          <p className={text.trim() === "" ? "muted" : "bad-text"}>Write at least one matcher, such as alertname="TargetDown".</p>
        )}
        <div className="inline-form">
          <label>
            For
            <input value={length} onChange={(event) => setLength(event.target.value)} list="lengths" size={8} aria-invalid={ms === undefined} />
            <datalist id="lengths">
              {LENGTHS.map((option) => (
                <option key={option} value={option} />
              ))}
            </datalist>
          </label>
          <span className={ms === undefined ? "bad-text" : "muted"}>{ms === undefined ? "Write 30m, 2h or 1d." : `until ${formatTime(shared.now() + ms, shared.zone)}`}</span>
        </div>
        <div className="inline-form">
          <label>
            Only at
            <input value={recurrence} onChange={(event) => setRecurrence(event.target.value)} spellCheck={false} size={34} placeholder={`saturday:sunday 22:00-06:00 ${LOCAL_ZONE}`} />
          </label>
          <span className="muted">days, hours, a time zone; several with ; between them. Empty: all the time.</span>
        </div>
        <div className="inline-form">
          <label>
            Warn before it ends
            <select value={warnBefore} onChange={(event) => setWarnBefore(event.target.value)}>
              <option value="">no</option>
              {["15m", "1h", "4h", "1d"].map((option) => (
                <option key={option} value={option}>
                  {option} before
                </option>
              ))}
            </select>
          </label>
          <span className="muted">with an alert, if it still mutes something then</span>
        </div>
        <label>
          <input type="checkbox" checked={untilResolved} onChange={(event) => setUntilResolved(event.target.checked)} />
          End earlier, once all it mutes is resolved
        </label>
        <label>
          Comment
          <input value={comment} onChange={(event) => setComment(event.target.value)} placeholder="Why, for whoever looks next" required />
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

/** What our alert manager reads from a silence's annotations; another one keeps them as they are. */
function wishes(untilResolved: boolean, recurrence: string, warnBefore: string): { annotations?: Record<string, string> } {
  const all = { watchbell_until_resolved: untilResolved ? "true" : "", watchbell_recurrence: recurrence, watchbell_warn_before: warnBefore };
  const annotations = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
  return Object.keys(annotations).length > 0 ? { annotations } : {};
}

/** What the silence would have muted in the last seven days, asked for on a click; a server that cannot say is no trouble. */
function PastPreview(props: { matchers: string[] }) {
  const shared = useShared();
  const [wanted, setWanted] = useState(false);
  const { data, error } = useLoad(`preview/${JSON.stringify(props.matchers)}`, (signal) => previewSilence(props.matchers, signal), [], wanted);
  if (!wanted) {
    return (
      <button type="button" onClick={() => setWanted(true)}>
        And in the last seven days?
      </button>
    );
  }
  if (error) return <p className="muted">This alert manager cannot say what it would have muted before.</p>;
  if (!data) return null;
  return (
    <>
      <p className="muted">In the last seven days it would have muted {data.past.length} {data.past.length === 1 ? "alert" : "alerts"}.</p>
      {data.past.slice(0, 5).map((one) => (
        <p key={one.fingerprint} className="row-actions">
          <Labels labels={one.labels} />
          <span className="muted">
            {one.times} times, last {ago(typeof one.last === "number" ? one.last / 1e6 : Date.parse(one.last), shared.now())}
          </span>
        </p>
      ))}
    </>
  );
}

export function Silences(props: { silences: Silence[]; rows: AlertRow[]; onChanged: () => void; onNew: (labels: LabelSet) => void }) {
  const shared = useShared();
  const [failure, setFailure] = useState<Error | undefined>();
  const [expired, setExpired] = useState(false);
  const expire = (id: string) => expireSilence(id).then(props.onChanged, (error: unknown) => setFailure(error instanceof Error ? error : new Error(String(error))));
  const shown = props.silences.filter((silence) => expired || silence.status.state !== "expired");
  const ended = props.silences.length - props.silences.filter((silence) => silence.status.state !== "expired").length;
  return (
    <Panel
      title="Silences"
      actions={
        <>
          {ended > 0 && (
            <button type="button" aria-pressed={expired} onClick={() => setExpired(!expired)}>
              {ended} expired
            </button>
          )}
          <button type="button" onClick={() => props.onNew({})}>
            New silence
          </button>
        </>
      }
    >
      {failure && <Failure error={failure} />}
      {shown.length === 0 ? (
        <Empty>{ended > 0 ? "No silence is in force." : "No silence has been set."}</Empty>
      ) : (
        <Table
          label="Silences"
          rows={shown}
          rowKey={(silence) => silence.id}
          columns={[
            { title: "State", by: (s) => s.status.state, cell: (s) => <Badge kind={s.status.state === "active" ? "info" : "quiet"}>{s.status.state}</Badge> },
            { title: "Matchers", className: "long", cell: (s) => <code><Shown text={s.matchers.map(formatMatcher).join(", ")} /></code> },
            { title: "Mutes now", numeric: true, by: (s) => muted(s, props.rows), cell: (s) => (s.status.state === "active" ? muted(s, props.rows) : "–") },
            { title: "Comment", className: "long", cell: (s) => s.comment },
            { title: "By", by: (s) => s.createdBy, cell: (s) => s.createdBy },
            { title: "Ends", by: (s) => Date.parse(s.endsAt), className: "nobreak", cell: (s) => <span title={formatTime(Date.parse(s.endsAt), shared.zone)}>{ago(Date.parse(s.endsAt), shared.now())}{s.annotations?.watchbell_until_resolved === "true" ? ", or once resolved" : ""}{s.annotations?.watchbell_recurrence ? <> only <Shown text={s.annotations.watchbell_recurrence} /></> : null}</span> },
            { title: "", cell: (s) => s.status.state !== "expired" && <button type="button" onClick={() => void expire(s.id)}>Expire</button> },
          ]}
        />
      )}
    </Panel>
  );
}

const muted = (silence: Silence, rows: AlertRow[]) => rows.filter((row) => row.alert?.status.silencedBy.includes(silence.id)).length;
