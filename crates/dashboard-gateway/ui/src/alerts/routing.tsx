// Who is told of what: the routes, and an explanation for labels that one types in.

import { useCallback, useState } from "react";
import { amStatus, parseMatchers } from "../api/alertmanager";
import { isMissing, routes } from "../api/watchbell-alerts";
import { Shown } from "../parts/shown";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { useParam } from "../router";
import { useLoad, useShared } from "../state";
import { Explain } from "./explain";
import { routeSection } from "./route-text";
import { RouteTree } from "./route-tree";

export function Routing() {
  const shared = useShared();
  const [labels, setLabels] = useParam("labels", "");
  const [text, setText] = useState(labels);
  const [when, setWhen] = useState("");
  const { data, error, loading } = useLoad("routing", loadRoutes, [shared.tick]);
  const [taken, setTaken] = useState<string[]>([]);
  const onTaken = useCallback((keys: string[]) => setTaken(keys), []);
  const parsed = parseMatchers(text);
  const plain = parsed !== undefined && parsed.length > 0 && parsed.every((one) => one.isEqual && !one.isRegex);
  const asked = parseMatchers(labels) ?? [];
  const at = when && !Number.isNaN(Date.parse(when)) ? new Date(when).toISOString() : undefined;
  return (
    <>
      <Panel title="Who would be told?">
        <form
          className="inline-form"
          onSubmit={(event) => {
            event.preventDefault();
            if (plain) setLabels(text);
          }}
        >
          <input className="grow" aria-label="Labels of the alert" placeholder='alertname="TargetDown", severity="critical"' value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} />
          <label>
            At
            <input type="datetime-local" value={when} onChange={(event) => setWhen(event.target.value)} />
          </label>
          <button type="submit" className="primary" disabled={!plain}>
            Explain
          </button>
        </form>
        {text.trim() !== "" && !plain && <p className="bad-text">Write labels as name="value", with commas between them.</p>}
        {asked.length > 0 ? (
          <Explain labels={Object.fromEntries(asked.map((one) => [one.name, one.value]))} at={at} onTaken={onTaken} />
        ) : (
          <p className="muted">Write an alert's labels: which routes take it, who is told when, and what keeps it back.</p>
        )}
      </Panel>
      <Panel title="Routes">
        {error ? (
          <Failure error={error} retry={shared.reload} />
        ) : loading ? (
          <Loading height={160} />
        ) : data!.tree ? (
          <RouteTree root={data!.tree} taken={asked.length > 0 ? taken : []} />
        ) : data!.text ? (
          <pre className="raw" tabIndex={0}>
            <Shown text={data!.text} />
          </pre>
        ) : (
          <Empty>The alert manager does not show its configuration.</Empty>
        )}
      </Panel>
    </>
  );
}

/** The tree of our alert manager; of another one the text of its configuration. */
async function loadRoutes(signal: AbortSignal) {
  try {
    return { tree: await routes(signal) };
  } catch (error) {
    if (!isMissing(error)) throw error;
    return { text: routeSection((await amStatus(signal)).config.original) };
  }
}
