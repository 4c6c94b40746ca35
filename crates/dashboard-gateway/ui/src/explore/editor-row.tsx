// The editor of a side of Explore, with its history and examples.

import { useEffect, useState } from "react";
import { QueryEditor, type QueryLanguage } from "../editor/query-editor";
import { Shown } from "../parts/shown";
import { useParam } from "../router";
import { useShared } from "../state";

/** The query in the URL, the text in the editor, and running the one as the other. */
export function useQuery(name: "metrics" | "logs"): [string, string, (text: string) => void, () => void] {
  const [query, setQuery] = useParam(name, "");
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  const { reload } = useShared();
  const run = () => {
    remember(name, text);
    if (text === query) reload();
    else setQuery(text);
  };
  return [query, text, setText, run];
}

function remember(name: string, query: string) {
  if (!query.trim()) return;
  const old = recent(name).filter((other) => other !== query);
  localStorage.setItem(`history-${name}`, JSON.stringify([query, ...old].slice(0, 50)));
}

function recent(name: string): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(`history-${name}`) ?? "[]");
    return Array.isArray(stored) ? stored.filter((item): item is string => typeof item === "string") : [];
  } catch {
    return [];
  }
}

export function EditorRow(props: { name: "metrics" | "logs"; language: QueryLanguage; text: string; setText: (text: string) => void; run: () => void; error?: string; examples: [string, string][] }) {
  const [open, setOpen] = useState(false);
  const queries = recent(props.name);
  return (
    <div className="editor-row">
      <QueryEditor language={props.language} value={props.text} onChange={props.setText} onRun={props.run} error={props.error} label={props.language === "promql" ? "PromQL query" : "LogQL query"} />
      <div className="row-actions">
        <button type="button" className="primary" onClick={props.run} title="Ctrl-Enter">
          Run
        </button>
        <button type="button" onClick={() => setOpen(!open)} aria-expanded={open}>
          History and examples
        </button>
      </div>
      {open && (
        <ul className="history">
          {props.examples.map(([title, query]) => (
            <li key={title}>
              <button type="button" className="plain" onClick={() => props.setText(query)}>
                <b>{title}</b> <code><Shown text={query} /></code>
              </button>
            </li>
          ))}
          {queries.map((query) => (
            <li key={query}>
              <button type="button" className="plain" onClick={() => props.setText(query)}>
                <code><Shown text={query} /></code>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

