// Rules with their health: what they ask, when they last ran, what went wrong.

import type { Rule, RuleGroup } from "../api/prometheus";
import { formatValue } from "../format/units";
import { Link } from "../parts/link";
import { Shown } from "../parts/shown";
import { Badge, Empty, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useParam } from "../router";
import { useShared } from "../state";
import { ago } from "../time/range";

export function Rules(props: { groups: RuleGroup[] }) {
  const [only, setOnly] = useParam("rules", "all");
  const rules = props.groups.flatMap((group) => group.rules);
  if (rules.length === 0) return <Empty>No rules are loaded. Status says whether a rule_files pattern matches nothing.</Empty>;
  const failing = rules.filter((rule) => rule.lastError);
  const shown = props.groups
    .map((group) => ({ ...group, rules: group.rules.filter((rule) => only === "all" || (only === "failing" ? rule.lastError : rule.state === only)) }))
    .filter((group) => group.rules.length > 0);
  return (
    <>
      <div className="page-head">
        <h2>
          {rules.length} rules in {props.groups.length} groups{failing.length > 0 ? `, ${failing.length} failing` : ""}
        </h2>
        <span className="grow" />
        <select aria-label="Which rules" value={only} onChange={(event) => setOnly(event.target.value)}>
          <option value="all">All</option>
          <option value="firing">Firing</option>
          <option value="pending">Pending</option>
          <option value="failing">Failing</option>
        </select>
      </div>
      {shown.length === 0 && <Empty>No rule is {only}.</Empty>}
      {shown.map((group) => (
        <RuleGroupPanel key={`${group.file}/${group.name}`} group={group} />
      ))}
    </>
  );
}

function RuleGroupPanel(props: { group: RuleGroup }) {
  const shared = useShared();
  const { group } = props;
  return (
    <Panel
      title={group.name}
      actions={
        <span className="muted rule-file">
          <Shown text={`every ${formatValue(group.interval, "s")} · ${group.file}`} />
        </span>
      }
    >
      <Table
        label={`Rules of ${group.name}`}
        rows={group.rules}
        rowKey={(rule, i) => `${rule.name}/${i}`}
        columns={[
          { title: "State", by: (rule) => rule.state ?? "", cell: (rule) => <RuleState rule={rule} /> },
          { title: "Rule", by: (rule) => rule.name, cell: (rule) => rule.name },
          {
            title: "Expression",
            className: "expression",
            cell: (rule) => (
              <>
                <Link to="explore" params={{ metrics: rule.query }}>
                  <code>
                    <Shown text={rule.query} />
                  </code>
                </Link>
                {rule.lastError && (
                  <div className="bad-text">
                    <Shown text={rule.lastError} />
                  </div>
                )}
              </>
            ),
          },
          { title: "For", numeric: true, by: (rule) => rule.duration ?? null, cell: (rule) => (rule.duration ? formatValue(rule.duration, "s") : "–") },
          { title: "Last run", className: "nobreak", cell: (rule) => (rule.lastEvaluation && !rule.lastEvaluation.startsWith("0001") ? ago(Date.parse(rule.lastEvaluation), shared.now()) : "not yet") },
          { title: "Took", numeric: true, by: (rule) => rule.evaluationTime ?? null, cell: (rule) => formatValue(rule.evaluationTime, "s") },
        ]}
      />
    </Panel>
  );
}

function RuleState(props: { rule: Rule }) {
  const { rule } = props;
  if (rule.health === "err" || rule.lastError) return <Badge kind="bad">fails</Badge>;
  if (rule.type === "recording") return <Badge kind="quiet">recording</Badge>;
  const count = rule.alerts?.length ?? 0;
  return <Badge kind={rule.state === "firing" ? "bad" : rule.state === "pending" ? "warn" : "good"}>{`${rule.state ?? "unknown"}${count > 1 ? ` (${count})` : ""}`}</Badge>;
}
