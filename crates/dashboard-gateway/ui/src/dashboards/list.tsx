// The list of dashboards: search, tags, stars, import.

import { useRef, useState } from "react";
import { saveDashboard, searchDashboards, star } from "../api/gateway";
import { Link } from "../parts/link";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { Shown } from "../parts/shown";
import { Table } from "../parts/table";
import { navigate, useParam } from "../router";
import { useLoad, useShared } from "../state";
import { readDashboard } from "./model";

export function Dashboards() {
  const shared = useShared();
  const [search, setSearch] = useParam("search", "");
  const [failure, setFailure] = useState<Error | undefined>();
  const file = useRef<HTMLInputElement>(null);
  const { data, error, loading } = useLoad("dashboards", searchDashboards, [shared.tick]);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = (data ?? []).filter((hit) => words.every((word) => `${hit.title} ${hit.folderTitle ?? ""} ${hit.tags.join(" ")}`.toLowerCase().includes(word)));
  const fail = (problem: unknown) => setFailure(problem instanceof Error ? problem : new Error(String(problem)));

  const importFile = async (chosen: File | undefined) => {
    if (!chosen) return;
    try {
      const raw: unknown = JSON.parse(await chosen.text());
      const model = readDashboard(raw);
      if (model.panels.length === 0) throw new Error(`${chosen.name} holds no panels: is it a dashboard's JSON?`);
      const saved = await saveDashboard(fillInputs(model.source), "imported", false);
      navigate(`d/${saved.uid}`);
    } catch (problem) {
      fail(problem);
    }
  };

  const create = () =>
    saveDashboard({ title: `New dashboard ${new Date(shared.now()).toISOString().slice(0, 19).replace("T", " ")}`, panels: [], schemaVersion: 39, tags: [] }, "new", false).then(
      (saved) => navigate(`d/${saved.uid}`, { edit: "1" }),
      fail,
    );

  return (
    <div className="page">
      <h1>Dashboards</h1>
      <div className="toolbar">
        <input className="grow" placeholder="Search titles, folders, tags" aria-label="Search dashboards" value={search} onChange={(event) => setSearch(event.target.value, true)} />
        {shared.session.role !== "Viewer" && (
          <button type="button" onClick={() => void create()}>
            New dashboard
          </button>
        )}
        <button type="button" onClick={() => file.current?.click()}>
          Import JSON
        </button>
        <input ref={file} type="file" accept="application/json,.json" hidden onChange={(event) => void importFile(event.target.files?.[0])} />
      </div>
      {failure && <Failure error={failure} />}
      {error ? (
        <Failure error={error} retry={shared.reload} />
      ) : loading ? (
        <Loading height={240} />
      ) : shown.length === 0 ? (
        <Empty>{data!.length === 0 ? "No dashboard yet. Put Grafana JSON files into conf/dashboards, or import one." : "No dashboard matches."}</Empty>
      ) : (
        <Panel title={`${shown.length} dashboards`}>
          <Table
            label="Dashboards"
            rows={shown}
            rowKey={(hit) => hit.uid}
            initial={{ column: "Title", descending: false }}
            columns={[
              {
                title: "★",
                by: (hit) => (hit.isStarred ? 0 : 1),
                cell: (hit) => (
                  <button type="button" className="plain" aria-label={hit.isStarred ? `Unstar ${hit.title}` : `Star ${hit.title}`} onClick={() => void star(hit.uid, !hit.isStarred).then(shared.reload, fail)}>
                    {hit.isStarred ? "★" : "☆"}
                  </button>
                ),
              },
              { title: "Title", by: (hit) => hit.title, cell: (hit) => <Link to={`d/${encodeURIComponent(hit.uid)}`}><Shown text={hit.title} /></Link> },
              { title: "Folder", by: (hit) => hit.folderTitle ?? "", cell: (hit) => hit.folderTitle ?? "" },
              { title: "Tags", cell: (hit) => <span className="labels">{hit.tags.map((tag) => <code key={tag}><Shown text={tag} /></code>)}</span> },
            ]}
          />
        </Panel>
      )}
    </div>
  );
}

/** Exports ask for data sources by `${DS_…}`: ours are put in. */
function fillInputs(source: Record<string, unknown>): unknown {
  const inputs = Array.isArray(source.__inputs) ? (source.__inputs as { name?: string; type?: string; pluginId?: string; value?: string }[]) : [];
  let json = JSON.stringify({ ...source, __inputs: undefined, __requires: undefined, id: null });
  for (const input of inputs) {
    if (!input.name) continue;
    const value = input.type === "constant" ? (input.value ?? "") : input.pluginId === "loki" ? "watchbell-logs" : "watchbell-metrics";
    json = json.split(`\${${input.name}}`).join(JSON.stringify(value).slice(1, -1));
  }
  return JSON.parse(json);
}
