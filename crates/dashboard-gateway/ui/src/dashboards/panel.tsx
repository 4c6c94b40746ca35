// One panel: its queries, and the picture that its type asks for.

import { useMemo, type ReactNode } from "react";
import { queryLogs, type LogLine } from "../api/loki";
import { queryInstant, queryRange, type Series } from "../api/prometheus";
import { nameSeries } from "../format/legend";
import { visible as visibleText } from "../format/text";
import { Empty, Failure, Loading, Panel } from "../parts/states";
import { navigate, setParams } from "../router";
import { useLoad, useShared, useVisible, useWidth } from "../state";
import { stepFor } from "../time/range";
import { sourceKind, type PanelModel } from "./model";
import { AlertListPanel } from "./alert-list";
import { HeatMap } from "./heatmap";
import { Gauges, LogLines, PiePanel, Stats, TableResult, Text, TimeSeriesPanel } from "./panels";
import { Timeline } from "./timeline";
import { builtins, interpolate, minimumStep, type Scope } from "./variables";

export interface Frame {
  refId: string;
  name: string;
  series: Series;
  instant: boolean;
}

export interface PanelData {
  frames: Frame[];
  lines: LogLine[];
  step: number;
}

const ROW_PX = 30;
const GAP_PX = 8;

export function PanelView(props: { panel: PanelModel; scope: Scope }) {
  const { panel } = props;
  const shared = useShared();
  const [ref, visible] = useVisible<HTMLDivElement>();
  const width = useWidth(ref) || 500;
  const { from, to } = shared.resolved;
  const step = stepFor(shared.resolved, width, minimumStep(panel.targets[0]?.interval, props.scope));
  const scope = useMemo<Scope>(() => {
    const scoped = Object.fromEntries(Object.entries(panel.scoped ?? {}).map(([name, value]) => [name, [value]]));
    return { ...props.scope, values: { ...props.scope.values, ...scoped }, builtins: builtins(from, to, step) };
  }, [props.scope, panel.scoped, from, to, step]);
  const key = JSON.stringify([panel.id, panel.targets.map((target) => interpolate(target.expr ?? "", { ...scope, builtins: {} }, "prometheus")), shared.range]);
  const needsData = panel.type !== "text" && panel.type !== "alertlist";
  const { data, error, loading, busy } = useLoad(key, (signal) => loadPanel(panel, scope, from, to, step, signal), [shared.tick, step], visible && needsData);
  const height = panel.gridPos.h * (ROW_PX + GAP_PX) - GAP_PX - 34;
  const query = panel.targets.find((target) => target.expr)?.expr;
  let body: ReactNode;
  if (panel.type === "alertlist") body = <AlertListPanel panel={panel} scope={scope} />;
  else if (!needsData) body = <Text panel={panel} scope={scope} />;
  else if (error) body = <Failure error={error} retry={shared.reload} />;
  else if (!visible || loading) body = <Loading height={height} />;
  else body = <Body panel={panel} data={data!} height={height} />;
  return (
    <div ref={ref} className="panel-host">
      <Panel
        className={panel.transparent ? "transparent" : ""}
        title={<span title={visibleText(panel.description ?? "")}>{visibleText(interpolate(panel.title, scope, "text"))}</span>}
        busy={busy && !loading && needsData}
        actions={
          <>
            {query && (
              <button type="button" className="icon quiet" data-key="e" title="Explore (e)" aria-label="Open in Explore" onClick={() => explore(panel, scope)}>
                ↗
              </button>
            )}
            <button type="button" className="icon quiet" data-key="v" title="View (v)" aria-label="View this panel alone" onClick={() => setParams({ viewPanel: String(panel.id) })}>
              ⤢
            </button>
          </>
        }
      >
        <div className="panel-body" style={{ height }} tabIndex={panel.type === "timeseries" ? undefined : 0}>
          {body}
        </div>
      </Panel>
    </div>
  );
}

function Body(props: { panel: PanelModel; data: PanelData; height: number }): ReactNode {
  const { panel, data } = props;
  if (data.frames.length === 0 && data.lines.length === 0) return <Empty height={props.height}>{panel.fieldConfig.defaults.noValue ?? "No data in this range."}</Empty>;
  switch (panel.type) {
    case "timeseries":
      return <TimeSeriesPanel {...props} />;
    case "stat":
      return <Stats {...props} />;
    case "gauge":
    case "bargauge":
    case "barchart":
      return <Gauges {...props} />;
    case "piechart":
      return <PiePanel {...props} />;
    case "state-timeline":
    case "status-history":
      return <Timeline {...props} />;
    case "heatmap":
      return <HeatMap {...props} />;
    case "logs":
      return <LogLines {...props} />;
    default:
      return <TableResult {...props} />;
  }
}

async function loadPanel(panel: PanelModel, scope: Scope, from: number, to: number, step: number, signal: AbortSignal): Promise<PanelData> {
  const targets = panel.targets.filter((target) => target.expr && target.hide !== true).slice(0, 26);
  const parts = await Promise.all(
    targets.map(async (target, index): Promise<PanelData> => {
      const refId = target.refId ?? String.fromCharCode(65 + index);
      const kind = sourceKind(target.datasource ?? panel.datasource, scope.values);
      const expr = interpolate(target.expr!, scope, kind);
      const legend = interpolate(target.legendFormat ?? "", scope, "text");
      let result;
      const instant = target.instant === true || target.queryType === "instant" || (panel.type === "table" && target.format === "table" && target.range !== true);
      if (kind === "loki") {
        const answer = await queryLogs(expr, from, to, { limit: target.maxLines ?? 1000, stepSeconds: step, signal });
        if (answer.kind === "lines") return { frames: [], lines: answer.logs.lines, step };
        result = answer.result;
      } else {
        result = instant ? await queryInstant(expr, to / 1000, signal) : await queryRange(expr, from / 1000, to / 1000, step, signal);
      }
      const names = nameSeries(result.series.map((series) => series.labels), legend || undefined);
      return { frames: result.series.map((series, i) => ({ refId, name: names[i]!, series, instant })), lines: [], step };
    }),
  );
  return { frames: parts.flatMap((part) => part.frames), lines: parts.flatMap((part) => part.lines), step };
}

function explore(panel: PanelModel, scope: Scope) {
  const target = panel.targets.find((one) => one.expr)!;
  const kind = sourceKind(target.datasource ?? panel.datasource, scope.values);
  navigate("explore", { [kind === "loki" ? "logs" : "metrics"]: interpolate(target.expr!, scope, kind) });
}
