// The queries behind Home, Container and Host, in one place. Names are cAdvisor's and node_exporter's.

import { ALL_LINES } from "../api/loki";

/** Series of containers, without the machine's own cgroups. */
export const CONTAINERS = 'name!=""';

const quote = (value: string) => JSON.stringify(value);

export interface ChartQuery {
  title: string;
  query: string;
  legend: string;
  unit: string;
  axis?: string;
}

/** CPU, memory, network rx and tx per container and host. `filter` narrows to one of them. */
export function containerCharts(filter: string, window: string): ChartQuery[] {
  const selector = `{${[CONTAINERS, filter].filter(Boolean).join(",")}}`;
  return [
    { title: "CPU", query: `sum by (name, instance) (rate(container_cpu_usage_seconds_total${selector}[${window}]))`, legend: "{{name}}", unit: "cores", axis: "% of one core" },
    { title: "Memory", query: `sum by (name, instance) (container_memory_working_set_bytes${selector})`, legend: "{{name}}", unit: "bytes" },
    { title: "Network received", query: `sum by (name, instance) (rate(container_network_receive_bytes_total${selector}[${window}]))`, legend: "{{name}}", unit: "Bps" },
    { title: "Network sent", query: `sum by (name, instance) (rate(container_network_transmit_bytes_total${selector}[${window}]))`, legend: "{{name}}", unit: "Bps" },
  ];
}

/** The same four for the hosts. */
export function hostCharts(filter: string, window: string): ChartQuery[] {
  const braces = (own: string) => `{${[own, filter].filter(Boolean).join(",")}}`;
  return [
    { title: "Host CPU", query: `sum by (instance) (rate(node_cpu_seconds_total${braces('mode!="idle",mode!="iowait"')}[${window}]))`, legend: "{{instance}}", unit: "cores", axis: "% of one core" },
    { title: "Host memory", query: `sum by (instance) (node_memory_MemTotal_bytes${braces("")} - node_memory_MemAvailable_bytes${braces("")})`, legend: "{{instance}}", unit: "bytes" },
    { title: "Host network received", query: `sum by (instance) (rate(node_network_receive_bytes_total${braces('device!~"lo|veth.*|br-.*|docker.*"')}[${window}]))`, legend: "{{instance}}", unit: "Bps" },
    { title: "Host network sent", query: `sum by (instance) (rate(node_network_transmit_bytes_total${braces('device!~"lo|veth.*|br-.*|docker.*"')}[${window}]))`, legend: "{{instance}}", unit: "Bps" },
  ];
}

export const byContainer = (name: string, instance: string) => `name=${quote(name)}${instance ? `,instance=${quote(instance)}` : ""}`;
export const byHost = (instance: string) => `instance=${quote(instance)}`;

/** One series for each host, with what scraped it. */
export const HOSTS = "node_uname_info";
export const RUNNING = `count(container_last_seen{${CONTAINERS}})`;
export const HOST_CPU = 'sum(rate(node_cpu_seconds_total{mode!="idle",mode!="iowait"}[1m]))';
export const HOST_CORES = 'count(count by (instance, cpu) (node_cpu_seconds_total{mode="idle"}))';
export const HOST_MEMORY = "sum(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)";
export const HOST_MEMORY_TOTAL = "sum(node_memory_MemTotal_bytes)";

/** One instant query for each column of the container table. */
export const TABLE = {
  state: "container_state == 1",
  health: "container_health_status == 1",
  restarts: "container_restarts_total",
  cpu: `sum by (name, instance) (rate(container_cpu_usage_seconds_total{${CONTAINERS}}[1m]))`,
  memory: `sum by (name, instance) (container_memory_working_set_bytes{${CONTAINERS}})`,
};

export const ERROR_LINES = `${ALL_LINES} |~ "(?i)\\\\b(error|fatal|panic|critical)\\\\b"`;
