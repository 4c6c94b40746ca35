// Saving: what changed is shown first, a newer version on the server is not overwritten unasked.

import { useMemo, useState } from "react";
import { ApiError } from "../api/http";
import { saveDashboard } from "../api/gateway";
import { Shown } from "../parts/shown";
import { Failure, Panel } from "../parts/states";
import { diffLines, hunks } from "./diff";
import type { Json } from "./edit";

const write = (source: Json) => JSON.stringify(source, null, 2);

export function SaveDialog(props: { before: Json; after: Json; provisioned: boolean; onSaved: (uid: string) => void; onCancel: () => void }) {
  const [message, setMessage] = useState("");
  const [failure, setFailure] = useState<Error | undefined>();
  const [newer, setNewer] = useState(false);
  const lines = useMemo(() => diffLines(write(props.before), write(props.after)), [props.before, props.after]);
  const shown = useMemo(() => hunks(lines), [lines]);
  const count = (kind: string) => lines.filter((line) => line.kind === kind).length;
  const save = (overwrite: boolean) =>
    saveDashboard(props.after, message, overwrite).then(
      ({ uid }) => props.onSaved(uid),
      (error: unknown) => {
        setNewer(error instanceof ApiError && error.status === 412);
        setFailure(error instanceof Error ? error : new Error(String(error)));
      },
    );
  return (
    <Panel title={`Save: +${count("added")} −${count("removed")} lines`}>
      {props.provisioned && <p className="note">This dashboard comes from a file. The change is kept by the gateway; when the file changes, the file wins.</p>}
      <pre className="raw diff" tabIndex={0} aria-label="What changes">
        {shown.map((line, i) => (
          <div key={i} className={line?.kind ?? "gap"}>
            {line === null ? "⋯" : <Shown text={`${{ same: " ", added: "+", removed: "-" }[line.kind]} ${line.text}`} />}
          </div>
        ))}
      </pre>
      <form
        className="inline-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save(false);
        }}
      >
        <input className="grow" aria-label="What was changed" placeholder="What was changed, for the list of versions" value={message} onChange={(event) => setMessage(event.target.value)} />
        <button type="submit" className="primary">
          Save
        </button>
        {newer && (
          <button type="button" onClick={() => void save(true)}>
            Overwrite the newer version
          </button>
        )}
        <button type="button" onClick={props.onCancel}>
          Back
        </button>
      </form>
      {failure && <Failure error={failure} />}
    </Panel>
  );
}
