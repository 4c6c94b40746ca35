// An empty answer says why.

import { labelValues, targets } from "../api/prometheus";
import { Empty } from "../parts/states";
import { useLoad, useShared } from "../state";
import { formatTime } from "../time/range";
import { metricNames, nearest } from "./metric-names";

async function reasons(query: string, describe: (ms: number) => string, signal: AbortSignal): Promise<string[]> {
  const wanted = metricNames(query);
  const [known, { activeTargets }] = await Promise.all([labelValues("__name__"), targets(signal)]);
  const out: string[] = [];
  for (const name of wanted.filter((one) => !known.includes(one))) {
    const close = nearest(name, known);
    out.push(`No metric is called ${name}.${close ? ` Is ${close} meant?` : ""}`);
  }
  for (const target of activeTargets.filter((one) => one.health === "down").slice(0, 3)) {
    out.push(`Target ${target.labels.instance ?? target.scrapeUrl} is down; last tried at ${describe(Date.parse(target.lastScrape))}: ${target.lastError}`);
  }
  if (activeTargets.some((target) => target.lastScrape.startsWith("0001"))) out.push("Some targets have not been scraped yet: the first samples come with their first scrape.");
  if (out.length === 0) out.push(wanted.length > 0 ? "The metric exists, but no series of it has these labels and values in this range." : "No series in this range.");
  return out;
}

export function WhyEmpty(props: { query: string; logs: boolean }) {
  const shared = useShared();
  const { data } = useLoad(`why/${props.query}`, (signal) => reasons(props.query, (ms) => formatTime(ms, shared.zone).slice(11), signal), [], !props.logs);
  const widen = (
    <button type="button" onClick={shared.zoomOut}>
      Widen the range
    </button>
  );
  if (props.logs) return <Empty action={widen}>No line in this range passes the query.</Empty>;
  return <Empty action={widen}>{data ? data.join(" ") : "No series in this range."}</Empty>;
}
