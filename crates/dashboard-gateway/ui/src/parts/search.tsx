// Search over pages, dashboards, containers, hosts and metrics.

import { useEffect, useMemo, useRef, useState } from "react";
import { searchDashboards } from "../api/gateway";
import { labelValues, queryInstant } from "../api/prometheus";
import { navigate } from "../router";
import { useLoad } from "../state";
import { Shown } from "./shown";

interface Hit {
  kind: string;
  name: string;
  path: string;
  params?: Record<string, string>;
}

const HITS_MAX = 12;

async function loadHits(pages: Hit[], signal: AbortSignal): Promise<Hit[]> {
  const [dashboards, containers, hosts, metrics] = await Promise.all([
    searchDashboards(signal).catch(() => []),
    queryInstant('group by (name, instance) (container_last_seen{name!=""})', undefined, signal).then((result) => result.series, () => []),
    queryInstant("group by (instance) (node_uname_info)", undefined, signal).then((result) => result.series, () => []),
    labelValues("__name__").catch(() => []),
  ]);
  return [
    ...pages,
    ...dashboards.map((hit): Hit => ({ kind: "dashboard", name: hit.title, path: `d/${encodeURIComponent(hit.uid)}` })),
    ...containers.map(({ labels }): Hit => ({ kind: "container", name: labels.name ?? "", path: "container", params: { name: labels.name ?? "", instance: labels.instance ?? "" } })),
    ...hosts.map(({ labels }): Hit => ({ kind: "host", name: labels.instance ?? "", path: "host", params: { instance: labels.instance ?? "" } })),
    ...metrics.map((name): Hit => ({ kind: "metric", name, path: "explore", params: { metrics: name } })),
  ];
}

export function Search(props: { pages: { path: string; title: string }[]; onClose: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const pages = useMemo(() => props.pages.map((page): Hit => ({ kind: "page", name: page.title, path: page.path })), [props.pages]);
  const { data } = useLoad("search", (signal) => loadHits(pages, signal));
  useEffect(() => input.current?.focus(), []);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = (data ?? pages).filter((hit) => words.every((word) => `${hit.kind} ${hit.name}`.toLowerCase().includes(word))).slice(0, HITS_MAX);
  const go = (hit: Hit | undefined) => {
    if (!hit) return;
    navigate(hit.path, hit.params);
    props.onClose();
  };
  return (
    <div className="search-back" onMouseDown={(event) => event.target === event.currentTarget && props.onClose()}>
      <div className="panel search" role="dialog" aria-label="Search">
        <input
          ref={input}
          placeholder="Pages, dashboards, containers, hosts, metrics"
          aria-label="Search everything"
          role="combobox"
          aria-expanded="true"
          aria-controls="search-hits"
          aria-activedescendant={hits[chosen] ? `hit-${chosen}` : undefined}
          value={text}
          spellCheck={false}
          onChange={(event) => {
            setText(event.target.value);
            setChosen(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape") props.onClose();
            else if (event.key === "Enter") go(hits[chosen]);
            else if (event.key === "ArrowDown") setChosen(Math.min(hits.length - 1, chosen + 1));
            else if (event.key === "ArrowUp") setChosen(Math.max(0, chosen - 1));
            else return;
            event.preventDefault();
          }}
        />
        <ul id="search-hits" role="listbox" aria-label="Found">
          {hits.map((hit, i) => (
            <li key={`${hit.kind}/${hit.name}/${i}`} id={`hit-${i}`} role="option" aria-selected={i === chosen} onMouseEnter={() => setChosen(i)} onClick={() => go(hit)}>
              <span className="muted">{hit.kind}</span>{" "}
              <span>
                <Shown text={hit.name} />
              </span>
            </li>
          ))}
        </ul>
        {hits.length === 0 && <p className="muted">Nothing has this in its name.</p>}
      </div>
    </div>
  );
}
