// Alerts grouped as they are told, or as one list.

import { useState } from "react";
import type { AlertGroup } from "../api/alertmanager";
import { Labels } from "../parts/shown";
import { Badge, Empty, Panel } from "../parts/states";
import { useParam } from "../router";
import { AckForm } from "./ack-form";
import { AlertItem, type RowActions } from "./row";
import { grouped, type AlertRow, type RowGroup } from "./rows";

export function AlertList(props: { rows: AlertRow[]; all: AlertRow[]; groups: AlertGroup[]; busy: boolean; actions: RowActions }) {
  const [as, setAs] = useParam("as", "groups");
  const { rows, all } = props;
  const count = (state: AlertRow["state"]) => all.filter((row) => row.state === state).length;
  const title = `${count("firing")} firing, ${count("pending")} pending, ${count("silenced")} silenced, ${count("inhibited")} inhibited`;
  const toggle = (
    <button type="button" onClick={() => setAs(as === "groups" ? "list" : null)}>
      {as === "groups" ? "As one list" : "Grouped as told"}
    </button>
  );
  if (rows.length === 0) {
    return (
      <Panel title={title} busy={props.busy}>
        <Empty>{all.length === 0 ? "No alert is firing or pending. History says what has been." : "No alert passes the filter."}</Empty>
      </Panel>
    );
  }
  if (as !== "groups") {
    return (
      <Panel title={title} busy={props.busy} actions={toggle}>
        <ul className="alerts">
          {rows.map((row) => (
            <AlertItem key={row.key} row={row} groupLabels={[]} {...props.actions} />
          ))}
        </ul>
      </Panel>
    );
  }
  return (
    <>
      <div className="page-head">
        <h2>{title}</h2>
        <span className="grow" />
        {toggle}
      </div>
      {grouped(rows, props.groups).map((group) => (
        <Group key={group.key} group={group} actions={props.actions} />
      ))}
    </>
  );
}

function Group(props: { group: RowGroup; actions: RowActions }) {
  const { group, actions } = props;
  const [acking, setAcking] = useState(false);
  const firing = group.rows.filter((row) => row.alert && row.state === "firing" && !actions.acks.has(row.key));
  const buttons = group.receiver !== "" && (
    <>
      {firing.length > 1 && (
        <button type="button" aria-expanded={acking} onClick={() => setAcking(!acking)}>
          Acknowledge all {firing.length}
        </button>
      )}
      {Object.keys(group.labels).length > 0 && group.rows.length > 1 && (
        <button type="button" onClick={() => actions.onSilence(group.labels)}>
          Silence the group
        </button>
      )}
    </>
  );
  return (
    <Panel
      title={
        <span className="group-title">
          {group.receiver === "" ? "Not told yet" : <Badge kind="quiet">{`to ${group.receiver}`}</Badge>}
          <Labels labels={group.labels} />
        </span>
      }
      actions={buttons}
    >
      {acking && (
        <AckForm
          fingerprints={firing.map((row) => row.key)}
          onDone={() => {
            setAcking(false);
            actions.onChanged();
          }}
        />
      )}
      <ul className="alerts">
        {group.rows.map((row) => (
          <AlertItem key={row.key} row={row} groupLabels={Object.keys(group.labels)} {...actions} />
        ))}
      </ul>
    </Panel>
  );
}
