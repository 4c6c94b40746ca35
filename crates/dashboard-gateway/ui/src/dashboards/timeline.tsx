// The states of each series over time, as bars of colour with their text.

import { cssColor, stylesFor, textOn } from "../format/colors";
import { visible } from "../format/text";
import { formatValue } from "../format/units";
import { Shown } from "../parts/shown";
import { useShared } from "../state";
import { formatTime } from "../time/range";
import { fieldFor, mapValue, thresholdColor, type PanelModel } from "./model";
import type { PanelData } from "./panel";
import { runsOf } from "./state-timeline";

const ROWS_MAX = 60;

export function Timeline(props: { panel: PanelModel; data: PanelData; height: number }) {
  const { zone, resolved, theme } = useShared();
  const { panel, data } = props;
  const [from, to] = [resolved.from / 1000, resolved.to / 1000];
  const frames = data.frames.slice(0, ROWS_MAX);
  return (
    <div className="timeline">
      {frames.map((frame, i) => {
        const field = fieldFor(panel, frame.name, frame.refId);
        const textOf = (value: number) => mapValue(value, field.mappings)?.text ?? formatValue(value, field.unit, field.decimals);
        const colorOf = (value: number) =>
          cssColor(mapValue(value, field.mappings)?.color ?? (field.color?.mode === "fixed" ? field.color.fixedColor : thresholdColor(value, field))) ?? stylesFor([textOf(value)], theme === "dark")[0]!.color;
        const runs = runsOf(frame.series.times, frame.series.values, data.step, to, (value) => `${textOf(value)}/${colorOf(value)}`);
        return (
          <div key={`${frame.refId}/${frame.name}/${i}`} className="timeline-row">
            <span className="timeline-name" title={visible(frame.name)}>
              <Shown text={frame.name} />
            </span>
            <div className="timeline-track">
              {runs.map((run) => (
                <span
                  key={run.from}
                  className="timeline-run"
                  style={{ left: `${((run.from - from) / (to - from)) * 100}%`, width: `${((run.to - run.from) / (to - from)) * 100}%`, background: colorOf(run.value), color: textOn(colorOf(run.value)) }}
                  title={`${visible(textOf(run.value))}, ${formatTime(run.from * 1000, zone)} to ${formatTime(run.to * 1000, zone)}`}
                >
                  <Shown text={textOf(run.value)} />
                </span>
              ))}
            </div>
          </div>
        );
      })}
      <div className="timeline-row muted">
        <span className="timeline-name" />
        <div className="timeline-axis">
          <span>{formatTime(resolved.from, zone).slice(5, 16)}</span>
          <span>{formatTime(resolved.to, zone).slice(5, 16)}</span>
        </div>
      </div>
      {data.frames.length > ROWS_MAX && <p className="muted">+{data.frames.length - ROWS_MAX} more</p>}
    </div>
  );
}
