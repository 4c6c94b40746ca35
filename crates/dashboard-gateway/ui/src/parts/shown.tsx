// Text that others wrote, shown so that it cannot act on the page.

import type { ReactNode } from "react";
import { pieces, visible } from "../format/text";
import type { LabelSet } from "../api/prometheus";

export function ControlMark(props: { name: string }) {
  return (
    <span className="control-mark" title={`A hidden character, ${props.name}, stands here`}>
      {props.name}
    </span>
  );
}

/** A stranger's text, its hidden characters named. */
export function Shown(props: { text: string | undefined }) {
  const parts = pieces(props.text ?? "");
  if (parts.length === 1 && !parts[0]!.control) return parts[0]!.text;
  return parts.map((part, i) => (part.control ? <ControlMark key={i} name={part.text} /> : part.text));
}

/** What a table cell or the like shows: texts go through `Shown`. */
export function shownNode(node: ReactNode): ReactNode {
  return typeof node === "string" ? <Shown text={node} /> : node;
}

/** Labels as small boxes. */
export function Labels(props: { labels: LabelSet; skip?: string[]; onPick?: (name: string, value: string) => void }) {
  return (
    <span className="labels">
      {Object.entries(props.labels)
        .filter(([name]) => !props.skip?.includes(name))
        .map(([name, value]) =>
          props.onPick ? (
            <button key={name} type="button" className="plain label-pick" title={`Filter by ${visible(name)}`} onClick={() => props.onPick!(name, value)}>
              <code>
                <Shown text={`${name}=${value}`} />
              </code>
            </button>
          ) : (
            <code key={name}>
              <Shown text={`${name}=${value}`} />
            </code>
          ),
        )}
    </span>
  );
}
