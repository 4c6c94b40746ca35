// One dashboard: variables, grid of panels, rows.

import { useEffect, useMemo, useState } from "react";
import { dashboard as loadDashboard } from "../api/gateway";
import { Failure, Loading } from "../parts/states";
import { Shown } from "../parts/shown";
import { setParams, useLocation } from "../router";
import { useLoad, useShared } from "../state";
import { visible } from "../format/text";
import { readDashboard, type DashboardModel, type PanelModel } from "./model";
import { editable } from "./edit";
import { DashboardEditor } from "./editor";
import { PanelView } from "./panel";
import { ALL, inOrder, interpolate, loadOptions, valueOf, type Scope, type Values } from "./variables";

export function Dashboard(props: { uid: string }) {
  const shared = useShared();
  const { params } = useLocation();
  const [version, setVersion] = useState(0);
  const { data, error, loading } = useLoad(`dashboard/${props.uid}`, (signal) => loadDashboard(props.uid, signal), [version]);
  const model = useMemo(() => (data ? readDashboard(data.dashboard) : undefined), [data]);

  useEffect(() => {
    // The dashboard's own range applies where the URL sets none.
    if (model?.time && params.get("from") === null) setParams({ from: model.time.from, to: model.time.to }, true);
    // Only when the dashboard is opened.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [model]);

  if (error) return <div className="page"><Failure error={error} retry={shared.reload} /></div>;
  if (loading || !model) return <div className="page"><Loading height={500} /></div>;
  return <DashboardBody model={model} provisioned={data?.meta.provisioned ?? false} canSave={data?.meta.canSave !== false && shared.session.role !== "Viewer"} onSaved={() => setVersion(version + 1)} />;
}

function DashboardBody(props: { model: DashboardModel; provisioned: boolean; canSave: boolean; onSaved: () => void }) {
  const { model } = props;
  const { params } = useLocation();
  const { scope, failure, ready } = useVariables(model);
  const [json, setJson] = useState(false);
  const editing = params.get("edit") === "1";
  const start = useMemo(() => editable(model), [model]);
  const viewed = params.get("viewPanel");
  const all = expandRepeats(model.panels, scope);
  const panels = viewed ? all.filter((panel) => String(panel.id) === viewed).map((panel) => ({ ...panel, gridPos: { x: 0, y: 0, w: 24, h: 18 } })) : all;
  return (
    <div className="page">
      <div className="page-head">
        <h1><Shown text={interpolate(model.title, scope, "text")} /></h1>
        <span className="grow" />
        {viewed && (
          <button type="button" onClick={() => setParams({ viewPanel: null })}>
            All panels
          </button>
        )}
        {props.canSave && !editing && (
          <button type="button" onClick={() => setParams({ edit: "1", viewPanel: null })}>
            Edit
          </button>
        )}
        {!editing && (
          <button type="button" aria-pressed={json} onClick={() => setJson(!json)}>
            JSON
          </button>
        )}
      </div>
      {model.unsupported.length > 0 && (
        <p className="note warn">Panels of type {model.unsupported.join(", ")} cannot be drawn yet; their query results are shown as tables.</p>
      )}
      <VariableBar model={model} scope={scope} />
      {failure && <Failure error={failure} />}
      {editing ? (
        ready && (
          <DashboardEditor
            key={JSON.stringify(start.version ?? 0)}
            start={start}
            scope={scope}
            provisioned={props.provisioned}
            onDone={() => {
              setParams({ edit: null, editPanel: null });
              props.onSaved();
            }}
          />
        )
      ) : json ? (
        <pre className="raw" tabIndex={0}>
          <Shown text={JSON.stringify(model.source, null, 2)} />
        </pre>
      ) : (
        ready && <Grid panels={panels} scope={scope} />
      )}
    </div>
  );
}

function useVariables(model: DashboardModel): { scope: Scope; failure: Error | undefined; ready: boolean } {
  const shared = useShared();
  const { params } = useLocation();
  const [options, setOptions] = useState<Record<string, string[]>>({});
  const [values, setValues] = useState<Values>({});
  const [failure, setFailure] = useState<Error | undefined>();
  const [ready, setReady] = useState(model.variables.length === 0);
  const chosen = model.variables.map((variable) => params.getAll(`var-${variable.name}`).join("\u0000")).join("\u0001");

  useEffect(() => {
    let stale = false;
    const load = async () => {
      const nextOptions: Record<string, string[]> = {};
      const nextValues: Values = {};
      let problem: Error | undefined;
      for (const variable of inOrder(model.variables)) {
        const scope: Scope = { variables: model.variables, values: nextValues, options: nextOptions, builtins: {} };
        try {
          nextOptions[variable.name] = await loadOptions(variable, scope, shared.resolved.from, shared.resolved.to);
        } catch (error) {
          problem = new Error(`Variable ${variable.name}: ${error instanceof Error ? error.message : String(error)}`);
          nextOptions[variable.name] = [];
        }
        nextValues[variable.name] = valueOf(variable, params.getAll(`var-${variable.name}`), nextOptions[variable.name]!);
      }
      if (stale) return;
      setOptions(nextOptions);
      setValues(nextValues);
      setFailure(problem);
      setReady(true);
    };
    void load();
    return () => {
      stale = true;
    };
    // A refresh of the same range does not ask for options anew.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [model, chosen, shared.range.from, shared.range.to]);

  const scope = useMemo<Scope>(() => ({ variables: model.variables, values, options, builtins: {} }), [model, values, options]);
  return { scope, failure, ready };
}

function VariableBar(props: { model: DashboardModel; scope: Scope }) {
  const shown = props.model.variables.filter((variable) => variable.hide !== 2 && !["constant", "adhoc", "datasource"].includes(variable.type));
  if (shown.length === 0) return null;
  return (
    <div className="toolbar variables">
      {shown.map((variable) => {
        const values = props.scope.values[variable.name] ?? [];
        const options = props.scope.options[variable.name] ?? [];
        const set = (next: string[]) => setParams({ [`var-${variable.name}`]: next });
        return (
          <label key={variable.name}>
            {variable.hide === 1 ? "" : variable.label || variable.name}
            {variable.type === "textbox" ? (
              <input defaultValue={values[0] ?? ""} onBlur={(event) => set([event.target.value])} onKeyDown={(event) => event.key === "Enter" && set([event.currentTarget.value])} />
            ) : variable.multi ? (
              <select
                multiple
                size={1}
                value={values}
                onChange={(event) => {
                  const picked = [...event.target.selectedOptions].map((option) => option.value);
                  const withoutAll = picked.filter((value) => value !== ALL);
                  set(values.includes(ALL) && withoutAll.length > 0 ? withoutAll : picked.includes(ALL) ? [ALL] : picked);
                }}
              >
                {options.map((option) => (
                  <option key={option} value={option}>
                    {option === ALL ? "All" : visible(option)}
                  </option>
                ))}
              </select>
            ) : (
              <select value={values[0] ?? ""} onChange={(event) => set([event.target.value])}>
                {options.map((option) => (
                  <option key={option} value={option}>
                    {option === ALL ? "All" : visible(option)}
                  </option>
                ))}
              </select>
            )}
          </label>
        );
      })}
    </div>
  );
}

/** Panels that repeat over a variable, one beside the other. */
function expandRepeats(panels: PanelModel[], scope: Scope): PanelModel[] {
  return panels.flatMap((panel) => {
    if (!panel.repeat || panel.type === "row") return [panel];
    const values = scope.values[panel.repeat] ?? [];
    const chosen = values.includes(ALL) ? (scope.options[panel.repeat] ?? []).filter((value) => value !== ALL) : values;
    if (chosen.length === 0) return [panel];
    const w = Math.max(6, Math.floor(24 / Math.min(chosen.length, 4)));
    return chosen.slice(0, 40).map((value, i) => ({
      ...panel,
      id: panel.id * 1000 + i,
      scoped: { [panel.repeat!]: value },
      gridPos: { ...panel.gridPos, x: (i * w) % 24, y: panel.gridPos.y + Math.floor((i * w) / 24) * panel.gridPos.h, w },
    }));
  });
}

function Grid(props: { panels: PanelModel[]; scope: Scope }) {
  const [toggled, setToggled] = useState<ReadonlySet<number>>(new Set());
  const toggle = (id: number) =>
    setToggled((old) => {
      const next = new Set(old);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const sorted = [...props.panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const shown: PanelModel[] = [];
  let hiding = false;
  for (const panel of sorted) {
    if (panel.type === "row") {
      const closed = panel.collapsed !== toggled.has(panel.id);
      hiding = closed && !panel.collapsed;
      shown.push({ ...panel, collapsed: closed });
      // A row saved collapsed holds its panels itself.
      if (panel.collapsed && !closed) shown.push(...(panel.panels ?? []).map((child) => ({ ...child, gridPos: { ...child.gridPos, y: panel.gridPos.y + 0.001 * (child.gridPos.y + 1) } })));
    } else if (!hiding) {
      shown.push(panel);
    }
  }
  return (
    <div className="grid">
      {shown.map((panel) =>
        panel.type === "row" ? (
          <button key={panel.id} type="button" className="plain grid-row" aria-expanded={!panel.collapsed} onClick={() => toggle(panel.id)}>
            {panel.collapsed ? "▸" : "▾"} <Shown text={interpolate(panel.title, props.scope, "text")} />
          </button>
        ) : (
          <div key={panel.id} className="grid-cell" style={{ gridColumn: `span ${panel.gridPos.w}`, gridRow: `span ${panel.gridPos.h}` }}>
            <PanelView panel={panel} scope={props.scope} />
          </div>
        ),
      )}
    </div>
  );
}
