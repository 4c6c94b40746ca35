// The metrics server's configuration, flags and run, as it says them.

import { call } from "../api/http";
import { Shown } from "../parts/shown";
import { Failure, Loading, Panel } from "../parts/states";
import { Table } from "../parts/table";
import { useLoad, useShared } from "../state";

interface Answer {
  yaml: string;
  flags: Record<string, string>;
  run: Record<string, unknown>;
}

async function load(signal: AbortSignal): Promise<Answer> {
  const ask = async <T,>(what: string) => (await call<{ data: T }>(`prometheus/api/v1/status/${what}`, { signal })).data;
  const [config, flags, run] = await Promise.all([ask<{ yaml: string }>("config"), ask<Record<string, string>>("flags"), ask<Record<string, unknown>>("runtimeinfo")]);
  return { yaml: config.yaml, flags, run };
}

export function ConfigurationTab() {
  const shared = useShared();
  const { data, error, loading } = useLoad("configuration", load, [shared.tick]);
  if (error) return <Failure error={error} retry={shared.reload} />;
  if (loading) return <Loading height={300} />;
  const pairs = (title: string, values: Record<string, unknown>) => (
    <Panel title={title}>
      <Table
        label={title}
        rows={Object.entries(values)}
        rowKey={([name]) => name}
        columns={[
          { title: "Name", by: ([name]) => name, cell: ([name]) => name },
          { title: "Value", className: "long", cell: ([, value]) => (typeof value === "object" ? JSON.stringify(value) : String(value)) },
        ]}
      />
    </Panel>
  );
  return (
    <>
      <Panel title="Configuration of the metrics server">
        <pre className="raw" tabIndex={0}>
          <Shown text={data!.yaml} />
        </pre>
      </Panel>
      <div className="charts-2">
        {pairs("Run", data!.run)}
        {pairs("Flags", data!.flags)}
      </div>
    </>
  );
}
