// The form that edits one panel.

import { QueryEditor } from "../editor/query-editor";
import { Panel } from "../parts/states";
import type { Json } from "./edit";
import { sourceKind } from "./model";

const TYPES: [string, string][] = [
  ["timeseries", "Time series"],
  ["stat", "Stat"],
  ["gauge", "Gauge"],
  ["bargauge", "Bar gauge"],
  ["piechart", "Pie"],
  ["state-timeline", "State timeline"],
  ["heatmap", "Heat map"],
  ["table", "Table"],
  ["logs", "Logs"],
  ["alertlist", "Alert list"],
  ["text", "Text"],
];
const UNITS = ["short", "percent", "percentunit", "bytes", "Bps", "s", "ms", "cores", "ops", "reqps", "none"];

const object = (value: unknown): Json => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {});
const text = (value: unknown) => (typeof value === "string" ? value : "");

export function PanelEditor(props: { panel: Json; onChange: (panel: Json) => void }) {
  const { panel, onChange } = props;
  const fieldConfig = object(panel.fieldConfig);
  const defaults = object(fieldConfig.defaults);
  const custom = object(defaults.custom);
  const options = object(panel.options);
  const type = text(panel.type);
  const setDefaults = (change: Json) => onChange({ ...panel, fieldConfig: { overrides: [], ...fieldConfig, defaults: { ...defaults, ...change } } });
  const number = (value: string) => (value.trim() === "" || Number.isNaN(Number(value)) ? undefined : Number(value));
  const shown = (value: unknown) => (typeof value === "number" ? String(value) : "");
  return (
    <Panel title="Edit the panel">
      <div className="panel-form">
        <label>
          Title
          <input value={text(panel.title)} onChange={(event) => onChange({ ...panel, title: event.target.value })} />
        </label>
        <label>
          Description
          <input value={text(panel.description)} onChange={(event) => onChange({ ...panel, description: event.target.value })} />
        </label>
        <label>
          Type
          <select value={type} onChange={(event) => onChange({ ...panel, type: event.target.value })}>
            {!TYPES.some(([name]) => name === type) && <option value={type}>{type}</option>}
            {TYPES.map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        {type !== "text" && type !== "logs" && type !== "alertlist" && (
          <>
            <label>
              Unit
              <input value={text(defaults.unit)} list="units" onChange={(event) => setDefaults({ unit: event.target.value || undefined })} />
              <datalist id="units">
                {UNITS.map((unit) => (
                  <option key={unit} value={unit} />
                ))}
              </datalist>
            </label>
            {(["decimals", "min", "max"] as const).map((name) => (
              <label key={name}>
                {name[0]!.toUpperCase() + name.slice(1)}
                <input size={6} inputMode="decimal" defaultValue={shown(defaults[name])} onBlur={(event) => setDefaults({ [name]: number(event.target.value) })} />
              </label>
            ))}
          </>
        )}
        {type === "timeseries" && (
          <>
            <label>
              Draw
              <select value={text(custom.drawStyle) || "line"} onChange={(event) => setDefaults({ custom: { ...custom, drawStyle: event.target.value } })}>
                <option value="line">Lines</option>
                <option value="bars">Bars</option>
                <option value="points">Points</option>
              </select>
            </label>
            <label>
              <input
                type="checkbox"
                checked={object(custom.stacking).mode === "normal"}
                onChange={(event) => setDefaults({ custom: { ...custom, stacking: { mode: event.target.checked ? "normal" : "none" } } })}
              />
              Stacked
            </label>
            <label>
              Legend
              <select
                value={object(options.legend).showLegend === false ? "hidden" : text(object(options.legend).displayMode) || "list"}
                onChange={(event) =>
                  onChange({
                    ...panel,
                    options: { ...options, legend: { ...object(options.legend), showLegend: event.target.value !== "hidden", displayMode: event.target.value, calcs: event.target.value === "table" ? ["lastNotNull", "mean", "max"] : [] } },
                  })
                }
              >
                <option value="list">List</option>
                <option value="table">Table</option>
                <option value="hidden">Hidden</option>
              </select>
            </label>
          </>
        )}
      </div>
      {type === "text" ? (
        <label className="tall">
          Text (Markdown)
          <textarea rows={10} value={text(options.content)} onChange={(event) => onChange({ ...panel, options: { ...options, mode: "markdown", content: event.target.value } })} />
        </label>
      ) : (
        type !== "alertlist" && <Queries panel={panel} onChange={onChange} />
      )}
    </Panel>
  );
}

function Queries(props: { panel: Json; onChange: (panel: Json) => void }) {
  const { panel, onChange } = props;
  const targets = (Array.isArray(panel.targets) ? panel.targets : []) as Json[];
  const kind = sourceKind(panel.datasource);
  const set = (next: Json[]) => onChange({ ...panel, targets: next });
  const change = (index: number, fields: Json) => set(targets.map((target, i) => (i === index ? { ...target, ...fields } : target)));
  const setSource = (next: string) => {
    const datasource = next === "loki" ? { type: "loki", uid: "watchbell-logs" } : { type: "prometheus", uid: "watchbell-metrics" };
    onChange({ ...panel, datasource, targets: targets.map(({ datasource: _own, ...target }) => target) });
  };
  return (
    <div className="queries">
      <label>
        Data
        <select value={kind} onChange={(event) => setSource(event.target.value)}>
          <option value="prometheus">Metrics</option>
          <option value="loki">Logs</option>
        </select>
      </label>
      {targets.map((target, i) => (
        <fieldset key={i}>
          <legend>Query {text(target.refId) || String.fromCharCode(65 + i)}</legend>
          <QueryEditor
            language={kind === "loki" ? "logql" : "promql"}
            value={text(target.expr)}
            onChange={(expr) => expr !== target.expr && change(i, { expr })}
            onRun={() => undefined}
            label={`Query ${i + 1}`}
          />
          <div className="row-actions">
            <label>
              Legend
              <input value={text(target.legendFormat)} placeholder="{{name}}" onChange={(event) => change(i, { legendFormat: event.target.value })} />
            </label>
            <label>
              <input type="checkbox" checked={target.hide === true} onChange={(event) => change(i, { hide: event.target.checked })} />
              Hidden
            </label>
            <button type="button" onClick={() => set(targets.filter((_, j) => j !== i))}>
              Remove the query
            </button>
          </div>
        </fieldset>
      ))}
      <button type="button" onClick={() => set([...targets, { refId: nextRef(targets), expr: "" }])}>
        Add a query
      </button>
    </div>
  );
}

function nextRef(targets: Json[]): string {
  const used = new Set(targets.map((target) => target.refId));
  for (let i = 0; i < 26; i += 1) if (!used.has(String.fromCharCode(65 + i))) return String.fromCharCode(65 + i);
  return `Q${targets.length}`;
}
