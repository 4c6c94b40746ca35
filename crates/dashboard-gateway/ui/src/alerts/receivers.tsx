// Receivers: does what is sent arrive? And a test of each.

import { useState } from "react";
import { status } from "../api/gateway";
import { isMissing, receivers, testReceiver, timeOf, type ReceiverHealth } from "../api/watchbell-alerts";
import { Shown } from "../parts/shown";
import { Badge, Empty, Failure, Loading, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useLoad, useShared } from "../state";
import { ago } from "../time/range";

interface Answer {
  known: ReceiverHealth[];
  /** The server only names its receivers. */
  namesOnly: boolean;
}

async function load(signal: AbortSignal): Promise<Answer> {
  try {
    return { known: await receivers(signal), namesOnly: false };
  } catch (error) {
    if (!isMissing(error)) throw error;
    const { receivers: named } = await status(signal);
    const known = named.map((one): ReceiverHealth => ({ name: one.name, integrations: [], fallback: null }));
    return { known, namesOnly: true };
  }
}

export function Receivers() {
  const shared = useShared();
  const { data, error, loading } = useLoad("receivers-health", load, [shared.tick]);
  if (error) return <Failure error={error} retry={shared.reload} />;
  if (loading) return <Loading height={200} />;
  if (data!.known.length === 0) return <Empty>The alert manager does not say which receivers it has.</Empty>;
  return (
    <>
      {data!.namesOnly && <p className="note">This alert manager does not say how its receivers fare.</p>}
      <div className="cards">
        {data!.known.map((receiver) => (
          <ReceiverCard key={receiver.name} receiver={receiver} namesOnly={data!.namesOnly} />
        ))}
      </div>
    </>
  );
}

function ReceiverCard(props: { receiver: ReceiverHealth; namesOnly: boolean }) {
  const shared = useShared();
  const { receiver } = props;
  const [result, setResult] = useState<string | undefined>();
  const [good, setGood] = useState(true);
  const [busy, setBusy] = useState(false);
  const failing = receiver.integrations.some((one) => one.state === "failing");
  const test = () => {
    setBusy(true);
    testReceiver(receiver.name)
      .then(
        (answers) => {
          setGood(answers.every((one) => one.ok));
          setResult(answers.length === 0 ? "It has no integration: nobody would be told." : answers.map((one) => `${one.integration}: ${one.ok ? "delivered" : "failed"}. ${one.answer ?? ""}`).join("\n"));
          shared.reload();
        },
        (error: unknown) => {
          setGood(false);
          setResult(isMissing(error) ? "This alert manager cannot send tests." : error instanceof Error ? error.message : String(error));
        },
      )
      .finally(() => setBusy(false));
  };
  const when = (time: string | number | null) => {
    const ms = timeOf(time);
    return ms === undefined ? "never" : ago(ms, shared.now());
  };
  return (
    <Panel
      title={receiver.name}
      className={failing ? "bad-panel" : ""}
      actions={
        <>
          {receiver.used === false && <Badge kind="quiet">no route leads here</Badge>}
          <button type="button" disabled={busy} onClick={test}>
            {busy ? "Sending" : "Send a test"}
          </button>
        </>
      }
    >
      {receiver.integrations.length === 0 && !props.namesOnly && <p className="muted">No integration: alerts that come here are told to no one.</p>}
      {receiver.integrations.length > 0 && (
        <Table
          label={`Integrations of ${receiver.name}`}
          rows={receiver.integrations}
          rowKey={(one) => `${one.integration}/${one.index}`}
          columns={[
            { title: "Integration", cell: (one) => one.integration },
            { title: "State", cell: (one) => <Badge kind={one.state === "failing" ? "bad" : one.state === "ok" ? "good" : "quiet"}>{one.state}</Badge> },
            { title: "Last success", cell: (one) => when(one.lastSuccess) },
            { title: "Waiting", numeric: true, cell: (one) => one.waiting },
          ]}
        />
      )}
      {receiver.integrations.map(
        (one) =>
          one.state === "failing" && (
            <pre key={one.index} className="bad-text">
              <Shown text={`Failing ${one.failingSince ? `since ${when(one.failingSince)}` : ""} (${one.failures} times): ${one.lastError ?? ""}`} />
            </pre>
          ),
      )}
      {receiver.fallback && <p className="muted">After {Math.round(receiver.fallback.afterSeconds / 60)} m of failing, {receiver.fallback.receiver} is told.</p>}
      {result && (
        <pre className={good ? "note good" : "note bad"} role="status">
          <Shown text={result} />
        </pre>
      )}
    </Panel>
  );
}
