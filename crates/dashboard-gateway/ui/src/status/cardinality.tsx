// What the series cost: which metrics, labels and targets have most, and which bring new ones all the time.

import { call } from "../api/http";
import { tsdbStatus, type CountOf, type LabelSet } from "../api/prometheus";
import { isMissing } from "../api/watchbell-alerts";
import { seriesName } from "../format/legend";
import { formatValue } from "../format/units";
import { Link } from "../parts/link";
import { Shown } from "../parts/shown";
import { Failure, Loading, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useLoad, useShared } from "../state";

interface ByLabels {
  labels: LabelSet;
  value: number;
}

interface Cardinality {
  series: number;
  labelPairs: number;
  seriesCreated?: number;
  seriesRemoved?: number;
  seriesByMetric: CountOf[];
  seriesByPair: CountOf[];
  valuesByLabel: CountOf[];
  bytesByLabel: CountOf[];
  samplesByTarget?: ByLabels[];
  newSeriesByTarget?: ByLabels[];
  newSeriesByJob?: ByLabels[];
  windowSeconds?: number;
}

const ROWS = 20;

/** Our server's full answer; a Prometheus knows the lists of its head only. */
async function load(signal: AbortSignal): Promise<Cardinality> {
  try {
    return (await call<{ data: Cardinality }>(`prometheus/api/watchbell/v1/cardinality?limit=${ROWS}`, { signal })).data;
  } catch (error) {
    if (!isMissing(error)) throw error;
    const status = await tsdbStatus(ROWS, signal);
    return {
      series: status.headStats.numSeries,
      labelPairs: status.headStats.numLabelPairs,
      seriesByMetric: status.seriesCountByMetricName,
      seriesByPair: status.seriesCountByLabelValuePair,
      valuesByLabel: status.labelValueCountByLabelName,
      bytesByLabel: status.memoryInBytesByLabelName,
    };
  }
}

export function CardinalityTab() {
  const shared = useShared();
  const { data, error, loading } = useLoad("cardinality", load, [shared.tick]);
  if (error) return <Failure error={error} retry={shared.reload} />;
  if (loading) return <Loading height={300} />;
  const found = data!;
  const figures: [string, number | undefined][] = [
    ["Series in the head", found.series],
    ["Label pairs", found.labelPairs],
    ["Series made since the start", found.seriesCreated],
    ["Series removed since", found.seriesRemoved],
  ];
  const window = formatValue(found.windowSeconds ?? 3600, "s");
  return (
    <>
      <dl className="identity">
        {figures.map(([term, value]) =>
          value === undefined ? null : (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{formatValue(value, "locale")}</dd>
            </div>
          ),
        )}
      </dl>
      <div className="charts-2">
        <Counts title="Series by metric" rows={found.seriesByMetric} of={found.series} link={(name) => name} />
        <Counts title="Series by label value" rows={found.seriesByPair} of={found.series} link={(pair) => selectorOf(pair)} />
        <Counts title="Values by label" rows={found.valuesByLabel} />
        <Counts title="Memory by label" rows={found.bytesByLabel} unit="bytes" />
        <Labelled title="Samples by target, last scrape" rows={found.samplesByTarget} />
        <Labelled title={`New series by target, last ${window}`} rows={found.newSeriesByTarget} />
        <Labelled title={`New series by job, last ${window}`} rows={found.newSeriesByJob} />
      </div>
    </>
  );
}

function selectorOf(pair: string): string {
  const at = pair.indexOf("=");
  return `{${pair.slice(0, at)}=${JSON.stringify(pair.slice(at + 1))}}`;
}

function Counts(props: { title: string; rows: CountOf[]; of?: number; unit?: string; link?: (name: string) => string }) {
  return (
    <Panel title={props.title}>
      <Table
        label={props.title}
        rows={props.rows.slice(0, ROWS)}
        rowKey={(row) => row.name}
        columns={[
          {
            title: "Name",
            className: "long",
            cell: (row) => (props.link ? <Link to="explore" params={{ metrics: `count by (__name__, job) (${props.link(row.name)})`, view: "table" }}><Shown text={row.name} /></Link> : row.name),
          },
          { title: props.unit ? "Size" : "Count", numeric: true, by: (row) => row.value, cell: (row) => formatValue(row.value, props.unit ?? "locale") },
          ...(props.of ? [{ title: "Share", numeric: true, cell: (row: CountOf) => formatValue((row.value / props.of!) * 100, "percent") }] : []),
        ]}
      />
    </Panel>
  );
}

function Labelled(props: { title: string; rows: ByLabels[] | undefined }) {
  if (!props.rows) return null;
  return (
    <Panel title={props.title}>
      {props.rows.length === 0 ? (
        <p className="muted">None.</p>
      ) : (
        <Table
          label={props.title}
          rows={props.rows}
          rowKey={(row, i) => `${seriesName(row.labels)}/${i}`}
          columns={[
            { title: "Where", className: "long", cell: (row) => Object.values(row.labels).join(" ") },
            { title: "Count", numeric: true, by: (row) => row.value, cell: (row) => formatValue(row.value, "locale") },
          ]}
        />
      )}
    </Panel>
  );
}
