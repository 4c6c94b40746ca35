// Acknowledging: somebody has it in hand, so repeats stop; the end is still told.

import { useState } from "react";
import { acknowledge, isMissing } from "../api/watchbell-alerts";
import { Failure } from "../parts/states";
import { useShared } from "../state";
import { parseDuration } from "../time/range";

export function AckForm(props: { fingerprints: string[]; onDone: () => void }) {
  const shared = useShared();
  const [owner, setOwner] = useState(shared.session.user);
  const [comment, setComment] = useState("");
  const [length, setLength] = useState("4h");
  const [failure, setFailure] = useState<Error | undefined>();
  const ready = owner.trim() !== "" && parseDuration(length) !== undefined;
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    acknowledge(props.fingerprints, owner.trim(), comment.trim(), length).then(props.onDone, (error: unknown) =>
      setFailure(isMissing(error) ? new Error("This alert manager cannot acknowledge alerts. A silence keeps them quiet.") : error instanceof Error ? error : new Error(String(error))),
    );
  };
  return (
    <form className="inline-form ack-form" onSubmit={submit}>
      <label>
        Owner
        <input value={owner} onChange={(event) => setOwner(event.target.value)} size={12} />
      </label>
      <label>
        For
        <input value={length} onChange={(event) => setLength(event.target.value)} size={6} />
      </label>
      <label className="grow">
        Comment
        <input className="grow" value={comment} onChange={(event) => setComment(event.target.value)} />
      </label>
      <button type="submit" className="primary" disabled={!ready}>
        Acknowledge {props.fingerprints.length > 1 ? `${props.fingerprints.length} alerts` : ""}
      </button>
      {failure && <Failure error={failure} />}
    </form>
  );
}
