// The deployment of the blog post with its own files, a second host on a second network, and what goes wrong in a week.

import { chownSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browse } from "./browser.mjs";
import { traceCollector } from "./lib/collector.mjs";
import { COMPOSE, Deployment, buildWatched, docker, hostAddress, inspect, removeContainers, restartEngine, startWatched } from "./lib/docker.mjs";
import { Gateway } from "./lib/gateway.mjs";
import { run } from "./lib/process.mjs";
import { reverseProxy } from "./lib/proxy.mjs";
import { smtpServer, webhookReceiver } from "./lib/receivers.mjs";
import { assert, equal, until } from "./lib/wait.mjs";

const PORTS = { gateway: 18300, metrics: 18390, logs: 18310, agent: 18380 };
const PASSWORD = "e2e-password-2";
// The names that the blog's rules ask for.
const STAND_INS = ["container1", "container2", "container3", "nginx"];
const SUB_PATH = "/monitoring";
/** The images of the blog's compose file, and ours in their place. */
const IMAGES = { "grafana/grafana": "watchbell/gateway:e2e", "prom/prometheus": "watchbell/metrics:e2e", "prom/alertmanager": "watchbell/alerts:e2e", "grafana/loki": "watchbell/logs:e2e" };

export default async function blog({ root, artifacts, check }) {
  const [webhook, smtp, collector] = await Promise.all([webhookReceiver(), smtpServer(), traceCollector()]);
  const [logsProxy, uiProxy] = await Promise.all([
    reverseProxy({ prefix: "/loki", port: PORTS.logs }),
    reverseProxy({ prefix: SUB_PATH, port: PORTS.gateway }),
  ]);
  const address = hostAddress();
  const uiUrl = `http://127.0.0.1:${uiProxy.port}${SUB_PATH}`;
  const deployment = new Deployment({
    root,
    project: "wbe2eblog",
    // The rules watch containers by their plain names.
    prefix: "",
    ports: PORTS,
    password: PASSWORD,
    env: { GF_SERVER_ROOT_URL: `${uiUrl}/`, OTEL_EXPORTER_OTLP_ENDPOINT: `http://${address}:${collector.port}` },
  });
  const host = new SecondHost(deployment, `${address}:${logsProxy.port}/loki/`);
  const gateway = new Gateway(uiUrl, PASSWORD);
  useBlogFiles({ root, deployment, address, smtp });
  try {
    const up = await check("blog: its files unchanged but for host names, all healthy", async () => {
      removeContainers(...STAND_INS, "wbe2e-counter");
      buildWatched();
      deployment.compose("up", "--build", "--detach");
      await deployment.healthy();
      await until("login", 20, () => gateway.login());
    });
    if (!up) return;
    await check("blog: a second host on a second network, set up as the README says", async () => {
      startStandIns();
      host.up();
      await until("its containers under job example_server", 60, async () => {
        const found = await gateway.metrics('container_memory_usage_bytes{image!="",job="example_server"}');
        const names = found.map(({ labels }) => labels.name);
        return STAND_INS.every((name) => names.includes(name));
      });
      assert(inspect("host1-cadvisor").HostConfig.NetworkMode !== inspect("cadvisor").HostConfig.NetworkMode, "both on one network");
    });
    await check("blog: its log query finds exactly the lines that nginx wrote, delivered through a reverse proxy", async () => {
      await until("40 lines", 60, async () => {
        const found = await gateway.logs('{containers="host1/nginx"} |~ "/grafana" |~ "HTTP.1[.]1.. [4-5][0-9][0-9]"');
        equal(found.length, 40, "lines of the blog's query");
        return true;
      });
      const params = new URLSearchParams({ query: 'sum(count_over_time({containers="host1/nginx"} |~ "/grafana" |~ "HTTP.1[.]1.. [4-5][0-9][0-9]" [10m]))', time: `${Date.now()}000000` });
      equal((await gateway.get(`loki/loki/api/v1/query?${params}`)).data.result[0]?.value[1], "40", "count_over_time");
      const other = await gateway.logs('{containers="host1/nginx"} |~ "/other"');
      equal(other.length, 960, "the other lines");
    });
    await check("blog: its CPU query answers for the second host", async () => {
      await until("a rate", 60, async () => {
        const found = await gateway.metrics('rate(container_cpu_user_seconds_total{image!="",job="example_server",name="container1"}[5m]) * 100');
        return found.length > 0 && found[0].value > 1;
      });
    });
    await check("blog: one trace spans agent and log server, one gateway and metrics server", () => tracesMeet({ gateway, collector }));
    await browse({ url: uiUrl, password: PASSWORD, artifacts, check, name: "sub-path", container: "container1" });
    await check("blog: with [...] each alert gets its own webhook call and mail, and its end after a restart", () =>
      alertsOneByOne({ gateway, webhook, smtp, deployment, address }));
    await check("blog: the engine restarted, everything comes back and nothing is lost", () => engineRestarted({ gateway, deployment }));
    host.down();
    removeContainers(...STAND_INS, "wbe2e-counter");
    deployment.keepLogs(artifacts);
    deployment.compose("down");
    await check("blog: its own compose file starts with our images, all as one user", () => itsOwnComposeFile(deployment));
  } finally {
    host.down();
    removeContainers(...STAND_INS, "wbe2e-counter");
    deployment.remove(artifacts);
    for (const one of [webhook, smtp, collector, logsProxy, uiProxy]) one.close();
  }
}

/** The blog's files, with the host names of this test, the undefined receiver mended, a webhook beside the mail. */
function useBlogFiles({ root, deployment, address, smtp }) {
  const fixture = (name) => readFileSync(join(root, "tests", "blog", name), "utf8");
  copyFileSync(join(root, "tests", "blog", "loki.yaml"), deployment.conf("loki.yaml"));
  copyFileSync(join(root, "tests", "blog", "prometheus_alert.rules"), deployment.conf("prometheus_alert.rules"));
  const scrape = fixture("prometheus.yaml").replace("example.com:9080", `${address}:${PORTS.agent}`);
  writeFileSync(deployment.conf("prometheus.yaml"), `global:\n  evaluation_interval: 5s\n${scrape}`);
  const alerts = fixture("alertmanager.yaml").replace("team-IT-Support-mails", "team--IT-Support--mails").replace("smtp.example.com:8825", `${address}:${smtp.port}`);
  writeFileSync(deployment.conf("alertmanager.yaml"), alerts);
}

/** deploy/target in a folder of its own: the README's steps with the blog's vector.toml. */
class SecondHost {
  constructor(deployment, endpoint) {
    this.dir = mkdtempSync(join(tmpdir(), "watchbell-host1-"));
    cpSync(join(deployment.clone, "deploy", "target"), this.dir, { recursive: true });
    const vector = readFileSync(join(deployment.clone, "tests", "blog", "vector.toml"), "utf8");
    writeFileSync(join(this.dir, "vector.toml"), vector.replace("example.com/loki/", endpoint));
    this.env = { ...deployment.env, COMPOSE_PROJECT_NAME: "wbe2ehost1", WATCHBELL_PREFIX: "host1-", WATCHBELL_AGENT_PORT: String(PORTS.agent), WATCHBELL_HOST_NAME: "" };
  }

  up() {
    run(COMPOSE[0], [...COMPOSE.slice(1), "up", "--detach"], { cwd: this.dir, env: this.env });
  }

  down() {
    if (!existsSync(this.dir)) return;
    run(COMPOSE[0], [...COMPOSE.slice(1), "down", "--volumes"], { cwd: this.dir, env: this.env, mayFail: true });
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function startStandIns() {
  // nginx' own log form; the quote gets escaped in the event that the blog's agent sends.
  const lines = `i=1; while [ $i -le 1000 ]; do
    if [ $((i % 25)) = 0 ]; then path=/grafana/d/$i; else path=/other/$i; fi
    echo '10.0.0.7 - - [22/Nov/2026:12:00:00 +0000] "GET '$path' HTTP/1.1" 404 153 "-" "curl/8.5.0"'
    i=$((i+1)); done; while true; do /bin/busybox sleep 3600; done`;
  startWatched("nginx", lines);
  startWatched("container1", "while true; do :; done", "--cpus", "0.1");
  for (const name of ["container2", "container3"]) startWatched(name, "/bin/busybox sleep 36000");
  startWatched("wbe2e-counter", "i=0; while true; do echo \"count $i\"; i=$((i+1)); /bin/busybox usleep 100000; done", "--restart", "unless-stopped");
}

async function tracesMeet({ gateway, collector }) {
  const together = (one, other) => {
    const traces = new Set(collector.spans.filter((span) => span.service === one).map((span) => span.trace));
    return collector.spans.some((span) => span.service === other && traces.has(span.trace));
  };
  await until("traces over two services", 60, async () => {
    await gateway.metrics("up");
    const services = [...new Set(collector.spans.map((span) => span.service))];
    assert(together("watchbell-agent", "watchbell-logs"), `no trace of agent and log server; services: ${services}`);
    assert(together("watchbell-gateway", "watchbell-metrics"), `no trace of gateway and metrics server; services: ${services}`);
    return true;
  });
}

async function alertsOneByOne({ gateway, webhook, smtp, deployment, address }) {
  const file = deployment.conf("alertmanager.yaml");
  // Sooner than the default 30 s and 5 min, and a webhook beside the mail.
  const text = readFileSync(file, "utf8").replace("  repeat_interval: 4h\n", "  repeat_interval: 4h\n  group_wait: 2s\n  group_interval: 5s\n");
  writeFileSync(file, `${text.trimEnd()}\n    send_resolved: true\n  webhook_configs:\n  - url: http://${address}:${webhook.port}/hook\n`);
  deployment.signal("alertmanager", "HUP");
  const about = (body, name) => body.alerts.some((alert) => alert.labels.name === name);
  removeContainers("container2", "container3");
  const states = new Set();
  await until("pending, then firing", 150, async () => {
    const { data } = await gateway.get("prometheus/api/v1/alerts");
    for (const alert of data.alerts) if (alert.labels.name === "container2") states.add(alert.state);
    return states.has("firing");
  });
  assert(states.has("pending"), "the alert was never pending");
  const both = (status) => ["container2", "container3"].map((name) => webhook.bodies.filter((body) => body.status === status && about(body, name)).length);
  await until("a call for each", 40, () => both("firing").every((count) => count > 0));
  equal(both("firing"), [1, 1], "firing calls for container2, container3");
  for (const body of webhook.bodies.filter((one) => about(one, "container2") || about(one, "container3"))) equal(body.alerts.length, 1, "alerts in a call");
  await until("a mail for each", 40, () => ["container2", "container3"].every((name) => smtp.mails.some((mail) => mail.includes(name))));
  docker("restart", "alertmanager");
  await deployment.healthy();
  for (const name of ["container2", "container3"]) startWatched(name, "/bin/busybox sleep 36000");
  await until("the resolved ones", 120, () => both("resolved").every((count) => count > 0));
  equal([both("firing"), both("resolved")], [[1, 1], [1, 1]], "calls after the restart");
}

async function engineRestarted({ gateway, deployment }) {
  const end = Math.floor(Date.now() / 1000) - 15;
  const samples = async () => (await gateway.metrics('sum(count_over_time(up{job=~"monitor_server|example_server"}[5m]))', end))[0]?.value;
  const before = await samples();
  assert(before > 0, "samples before");
  await restartEngine();
  await deployment.healthy(180);
  await until("login", 60, () => gateway.login());
  equal(await samples(), before, "samples of the time before");
  await until("both hosts are scraped again", 90, async () => {
    const up = await gateway.metrics('up{job=~"monitor_server|example_server"}');
    return up.length === 2 && up.every(({ value }) => value === 1);
  });
  // What the container wrote before and after: read from the engine, and all of it on the log server.
  const written = docker("logs", "wbe2e-counter").out.split("\n").filter((line) => line.startsWith("count"));
  await until("every line of the counter", 90, async () => {
    const have = new Map();
    let toMs = Date.now() + 60_000;
    for (;;) {
      const lines = await gateway.logs('{containers="e2ehost/wbe2e-counter"} |= "count"', { toMs });
      for (const { line, ns } of lines) have.set(`${ns} ${line}`, line);
      if (lines.length < 5000) break;
      toMs = Number(BigInt(lines.at(-1).ns) / 1_000_000n);
    }
    const missing = counted(written);
    for (const line of have.values()) missing.set(line, (missing.get(line) ?? 0) - 1);
    const lost = [...missing].filter(([, count]) => count > 0);
    assert(lost.length === 0, `${lost.length} of ${written.length} lines are missing, such as ${JSON.stringify(lost.slice(0, 5))}`);
    return true;
  });
}

function counted(lines) {
  const counts = new Map();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}

/** The blog's compose file without its two undefined networks, which docker-compose refuses, on ports of the test's own. */
async function itsOwnComposeFile(deployment) {
  const dir = mkdtempSync(join(tmpdir(), "watchbell-blog-"));
  let text = readFileSync(join(deployment.clone, "tests", "blog", "docker-compose.yaml"), "utf8").replace(/ {4}networks:\n(?: {6}- .*\n)+/, "");
  for (const [theirs, ours] of Object.entries(IMAGES)) text = text.replace(`image: ${theirs}\n`, `image: ${ours}\n`);
  text = text.replace("3000:3000", `${PORTS.gateway}:3000`).replace("9090:9090", `${PORTS.metrics}:9090`).replace("3100:3100", `${PORTS.logs}:3100`);
  writeFileSync(join(dir, "docker-compose.yaml"), text);
  cpSync(join(deployment.clone, "conf"), join(dir, "conf"), { recursive: true });
  for (const name of ["grafana", "prometheus", "alertmanager", "loki"]) {
    mkdirSync(join(dir, "data", name), { recursive: true });
    chownSync(join(dir, "data", name), 5678, 5678);
  }
  const env = { ...process.env, COMPOSE_PROJECT_NAME: "wbe2etheirs" };
  try {
    run(COMPOSE[0], [...COMPOSE.slice(1), "up", "--detach"], { cwd: dir, env });
    await until("all of them are ready", 60, async () => {
      const ready = await Promise.all([`${PORTS.gateway}/api/health`, `${PORTS.metrics}/-/ready`, `${PORTS.logs}/ready`].map((path) => fetch(`http://127.0.0.1:${path}`).then((answer) => answer.status)));
      equal(ready, [200, 200, 200], "gateway, metrics server, log server");
      return inspect("alertmanager").State.Running;
    });
    // The data lie where the volumes are.
    for (const name of ["grafana", "prometheus", "alertmanager", "loki"]) assert(readdirSync(join(dir, "data", name)).length > 0, `data/${name} is empty`);
  } finally {
    run(COMPOSE[0], [...COMPOSE.slice(1), "down"], { cwd: dir, env, mayFail: true });
    rmSync(dir, { recursive: true, force: true });
  }
}
