// The routing tree, drawn; the routes that take an alert stand out.

import type { RouteNode } from "../api/watchbell-alerts";
import { formatValue } from "../format/units";
import { Shown } from "../parts/shown";
import { Badge } from "../parts/states";

/** `taken`: keys of groups that an alert joins. */
export function RouteTree(props: { root: RouteNode; taken: string[] }) {
  return (
    <ul className="route-tree">
      <Node node={props.root} taken={props.taken} depth={0} />
    </ul>
  );
}

function Node(props: { node: RouteNode; taken: string[]; depth: number }) {
  const { node, taken, depth } = props;
  const takes = taken.some((key) => key.startsWith(`${node.key}:{`));
  return (
    <li>
      <div className={takes ? "route taken" : "route"} aria-current={takes || undefined}>
        <p className="row-actions">
          {node.matchers.length > 0 ? (
            <code>
              <Shown text={node.matchers.join(", ")} />
            </code>
          ) : (
            <span>{depth === 0 ? "Every alert" : "Whatever comes here"}</span>
          )}
          <span className="muted" aria-hidden="true">→</span>
          <Badge kind="info">{node.receiver}</Badge>
          {takes && <Badge kind="good">takes it</Badge>}
          {node.continue && <span className="muted">and on to the next route</span>}
        </p>
        <p className="muted">
          <Shown text={waits(node)} />
        </p>
      </div>
      {node.routes.length > 0 && (
        <ul>
          {node.routes.map((child, i) => (
            <Node key={i} node={child} taken={taken} depth={depth + 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

function waits(node: RouteNode): string {
  const seconds = (value: number) => formatValue(value, "s");
  const by = node.groupBy.length === 0 ? "all in one group" : node.groupBy[0] === "..." ? "each alert on its own" : `grouped by ${node.groupBy.join(", ")}`;
  const parts = [by, `first after ${seconds(node.groupWaitSeconds)}`, `news every ${seconds(node.groupIntervalSeconds)}`, `repeated every ${seconds(node.repeatIntervalSeconds)}`];
  if (node.muteTimeIntervals.length > 0) parts.push(`silent in ${node.muteTimeIntervals.join(", ")}`);
  if (node.activeTimeIntervals.length > 0) parts.push(`only in ${node.activeTimeIntervals.join(", ")}`);
  return parts.join(" · ");
}
