// A dashboard while it is edited: the grid or one panel, its JSON, saving.

import { useMemo, useState } from "react";
import { useLocation, setParams } from "../router";
import { Failure } from "../parts/states";
import { addPanel, duplicatePanel, placePanel, removePanel, updatePanel, type Json } from "./edit";
import { EditGrid } from "./edit-grid";
import { readDashboard } from "./model";
import { PanelView } from "./panel";
import { PanelEditor } from "./panel-editor";
import { SaveDialog } from "./save";
import type { Scope } from "./variables";

const NEW_TYPES: [string, string][] = [
  ["timeseries", "Panel"],
  ["logs", "Logs"],
  ["text", "Text"],
  ["row", "Row"],
];

export function DashboardEditor(props: { start: Json; scope: Scope; provisioned: boolean; onDone: () => void }) {
  const [source, setSource] = useState(props.start);
  const [past, setPast] = useState<Json[]>([]);
  const [saving, setSaving] = useState(false);
  const [json, setJson] = useState<string | undefined>();
  const [failure, setFailure] = useState<Error | undefined>();
  const { params } = useLocation();
  const model = useMemo(() => readDashboard(source), [source]);
  const change = (next: Json) => {
    setPast((old) => [...old.slice(-49), source]);
    setSource(next);
  };
  const editing = model.panels.find((panel) => String(panel.id) === params.get("editPanel"));
  const raw = (source.panels as Json[]).find((panel) => panel.id === editing?.id);
  const dirty = source !== props.start;

  if (saving) {
    return (
      <SaveDialog
        before={props.start}
        after={source}
        provisioned={props.provisioned}
        onCancel={() => setSaving(false)}
        onSaved={() => props.onDone()}
      />
    );
  }
  const applyJson = () => {
    try {
      const next: unknown = JSON.parse(json ?? "");
      if (typeof next !== "object" || next === null || Array.isArray(next)) throw new Error("A dashboard is a JSON object.");
      change({ panels: [], ...(next as Json) });
      setJson(undefined);
      setFailure(undefined);
    } catch (error) {
      setFailure(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return (
    <>
      <div className="toolbar edit-toolbar">
        {editing ? (
          <button type="button" onClick={() => setParams({ editPanel: null })}>
            All panels
          </button>
        ) : (
          NEW_TYPES.map(([type, title]) => (
            <button
              key={type}
              type="button"
              onClick={() => {
                const [next, id] = addPanel(source, type);
                change(next);
                if (type !== "row") setParams({ editPanel: String(id) });
              }}
            >
              Add {title.toLowerCase()}
            </button>
          ))
        )}
        <label>
          Title
          <input value={model.title} onChange={(event) => change({ ...source, title: event.target.value })} />
        </label>
        <span className="grow" />
        <button type="button" disabled={past.length === 0} onClick={() => (setSource(past[past.length - 1]!), setPast(past.slice(0, -1)))}>
          Undo
        </button>
        <button type="button" aria-pressed={json !== undefined} onClick={() => setJson(json === undefined ? JSON.stringify(source, null, 2) : undefined)}>
          JSON
        </button>
        <button type="button" onClick={props.onDone}>
          Discard
        </button>
        <button type="button" className="primary" disabled={!dirty} onClick={() => setSaving(true)}>
          Save…
        </button>
      </div>
      {failure && <Failure error={failure} />}
      {json !== undefined ? (
        <div className="json-edit">
          <textarea aria-label="The dashboard's JSON" spellCheck={false} rows={30} value={json} onChange={(event) => setJson(event.target.value)} />
          <button type="button" className="primary" onClick={applyJson}>
            Apply
          </button>
        </div>
      ) : editing && raw ? (
        <>
          <div style={{ height: 12 * 38 }}>{editing.type !== "row" && <PanelView panel={{ ...editing, gridPos: { ...editing.gridPos, h: 12 } }} scope={props.scope} />}</div>
          <PanelEditor key={editing.id} panel={raw} onChange={(panel) => change(updatePanel(source, editing.id, () => panel))} />
        </>
      ) : (
        <EditGrid
          panels={model.panels}
          scope={props.scope}
          onPlace={(id, grid) => change(placePanel(source, id, grid))}
          onEdit={(id) => setParams({ editPanel: String(id) })}
          onRemove={(id) => change(removePanel(source, id))}
          onDuplicate={(id) => change(duplicatePanel(source, id))}
        />
      )}
    </>
  );
}
