// When alerts began and ended, as marks on all charts of a page: one query for them all.

import { createContext, useContext, useMemo, type ReactNode } from "react";
import { queryRange } from "../api/prometheus";
import { visible } from "../format/text";
import { useLoad, useShared } from "../state";
import { stepFor } from "../time/range";
import type { ChartMark } from "./time-series";

const MARKS_MAX = 60;
const Marks = createContext<ChartMark[]>([]);

export const useAlertMarks = () => useContext(Marks);

/** Starts and ends of runs of samples; a run that is cut by the range's edge has no mark there. */
export function marksOf(series: { labels: Record<string, string>; times: number[] }[], step: number, from: number, to: number, colors: { start: string; end: string }): ChartMark[] {
  const marks: ChartMark[] = [];
  for (const { labels, times } of series) {
    const name = visible([labels.alertname, labels.name ?? labels.instance].filter(Boolean).join(" "));
    times.forEach((time, i) => {
      const begins = i === 0 ? time > from + step : time - times[i - 1]! > step * 1.5;
      const ends = i === times.length - 1 ? time < to - 2 * step : times[i + 1]! - time > step * 1.5;
      if (begins) marks.push({ time, text: `${name} fires`, color: colors.start });
      if (ends) marks.push({ time: time + step, text: `${name} ends`, color: colors.end });
    });
  }
  return marks.sort((a, b) => b.time - a.time).slice(0, MARKS_MAX);
}

export function AlertMarks(props: { children: ReactNode }) {
  const shared = useShared();
  const { from, to } = shared.resolved;
  const step = stepFor(shared.resolved, 800);
  const { data } = useLoad(
    `alert-marks/${shared.range.from}/${shared.range.to}`,
    (signal) => queryRange('ALERTS{alertstate="firing"}', from / 1000, to / 1000, step, signal),
    [shared.tick],
  );
  const marks = useMemo(() => {
    const css = getComputedStyle(document.documentElement);
    const color = (name: string) => css.getPropertyValue(name).trim();
    return data ? marksOf(data.series, step, from / 1000, to / 1000, { start: color("--bad"), end: color("--good") }) : [];
    // The answer belongs to the range it was asked for.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [data, shared.theme]);
  return <Marks.Provider value={marks}>{props.children}</Marks.Provider>;
}
