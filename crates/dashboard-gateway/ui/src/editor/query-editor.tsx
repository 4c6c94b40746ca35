// The query editor: PromQL or LogQL with colours, completion and errors underlined at their place.

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, LRLanguage, LanguageSupport, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { Compartment, EditorState, Prec, type Extension } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { parser as logqlParser } from "@grafana/lezer-logql";
import { styleTags, tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { logLabels, logLabelValues } from "../api/loki";
import { basePath } from "../router";

export type QueryLanguage = "promql" | "logql";

const colours = HighlightStyle.define([
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: tags.number, color: "var(--code-number)" },
  { tag: [tags.keyword, tags.modifier, tags.function(tags.variableName)], color: "var(--code-keyword)" },
  { tag: [tags.operator, tags.logicOperator, tags.arithmeticOperator, tags.compareOperator], color: "var(--text)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--muted)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const logqlLanguage = LRLanguage.define({
  parser: logqlParser.configure({
    props: [
      styleTags({
        Identifier: tags.labelName,
        String: tags.string,
        "Number Duration Bytes": tags.number,
        "Json Logfmt Regexp Pattern Unpack Unwrap LabelFormat LineFormat Decolorize Drop Keep Distinct": tags.keyword,
        "CountOverTime Rate RateCounter BytesOverTime BytesRate AvgOverTime SumOverTime MinOverTime MaxOverTime StddevOverTime StdvarOverTime QuantileOverTime FirstOverTime LastOverTime AbsentOverTime":
          tags.function(tags.variableName),
        "Sum Avg Count Max Min Stddev Stdvar Topk Bottomk By Without And Or Unless Bool On Ignoring GroupLeft GroupRight Offset": tags.keyword,
        LineComment: tags.comment,
      }),
    ],
  }),
});

const LOGQL_WORDS = [
  "count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
  "quantile_over_time", "first_over_time", "last_over_time", "absent_over_time", "sum", "avg", "min", "max", "count", "topk", "bottomk", "by", "without",
  "json", "logfmt", "regexp", "pattern", "unpack", "unwrap", "line_format", "label_format", "decolorize", "drop", "keep",
];

async function completeLogql(context: CompletionContext): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(Math.max(0, context.pos - 300), context.pos);
  const value = /([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before);
  if (value) {
    const values = await logLabelValues(value[1]!).catch(() => []);
    return { from: context.pos - value[2]!.length, options: values.map((label) => ({ label, type: "text" })), validFor: /^[^"]*$/ };
  }
  const word = context.matchBefore(/[A-Za-z_]\w*/);
  if (/\{[^}]*$/.test(before)) {
    const labels = await logLabels().catch(() => []);
    return { from: word?.from ?? context.pos, options: labels.map((label) => ({ label, type: "property" })), validFor: /^\w*$/ };
  }
  if (!word && !context.explicit) return null;
  return { from: word?.from ?? context.pos, options: LOGQL_WORDS.map((label) => ({ label, type: "function" })), validFor: /^\w*$/ };
}

function languageOf(language: QueryLanguage): Extension {
  if (language === "promql") {
    return new PromQLExtension().setComplete({ remote: { url: `${basePath}prometheus`.replace(/\/$/, ""), httpMethod: "GET" } }).asExtension();
  }
  return [new LanguageSupport(logqlLanguage), autocompletion({ override: [completeLogql] })];
}

/** Where a server's error text says that the query is wrong ("1:7: parse error", "line 1, col 12"), as an offset. */
export function errorOffset(message: string, query: string): number | undefined {
  const match = /(?:^|[\s:"])(\d+):(\d+): /.exec(message) ?? /line (\d+), col (\d+)/.exec(message);
  if (!match) return undefined;
  const lines = query.split("\n");
  const line = Number(match[1]) - 1;
  if (line >= lines.length) return undefined;
  const offset = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0) + Number(match[2]) - 1;
  return Math.max(0, Math.min(offset, query.length));
}

export function QueryEditor(props: {
  language: QueryLanguage;
  value: string;
  onChange: (value: string) => void;
  onRun: () => void;
  error?: string;
  label: string;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const language = useRef(new Compartment());

  useEffect(() => {
    const run = () => {
      latest.current.onRun();
      return true;
    };
    const editor = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          syntaxHighlighting(colours),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": latest.current.label, spellcheck: "false" }),
          placeholder(latest.current.language === "promql" ? "PromQL, such as rate(container_cpu_usage_seconds_total[5m])" : 'LogQL, such as {service_name=~".+"} |= "error"'),
          Prec.highest(keymap.of([{ key: "Ctrl-Enter", mac: "Cmd-Enter", run }, { key: "Shift-Enter", run }])),
          keymap.of([{ key: "Tab", run: acceptCompletion }, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap]),
          language.current.of(languageOf(latest.current.language)),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(languageOf(props.language)) });
  }, [props.language]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== props.value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.value } });
    }
  }, [props.value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const text = editor.state.doc.toString();
    const offset = props.error ? errorOffset(props.error, text) : undefined;
    const diagnostics: Diagnostic[] =
      offset === undefined ? [] : [{ from: Math.min(offset, Math.max(0, text.length - 1)), to: Math.min(offset + 1, text.length), severity: "error", message: props.error! }];
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [props.error]);

  return <div className="editor" ref={host} />;
}
