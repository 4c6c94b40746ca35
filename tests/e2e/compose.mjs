// The compose deployment from a clean clone on real Docker: a user's first minutes, faults, kills, restarts.

import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HOSTILE, browse, browseHostile } from "./browser.mjs";
import { BINARIES, DOCKER, Deployment, buildWatched, docker, hostAddress, inspect, removeContainers, startWatched } from "./lib/docker.mjs";
import { Gateway } from "./lib/gateway.mjs";
import { run } from "./lib/process.mjs";
import { smtpServer, webhookReceiver } from "./lib/receivers.mjs";
import { writeSample } from "./lib/remote-write.mjs";
import { assert, equal, sleep, until } from "./lib/wait.mjs";

const PREFIX = "wbe2e-";
const PORTS = { gateway: 18300, metrics: 18390, logs: 18310 };
const SERVICES = { grafana: 5677, prometheus: 5678, alertmanager: 5679, loki: 5680, cadvisor: 5681 };
const WATCHED_NAMES = ["wbe2e-early", "wbe2e-writer", "wbe2e-burner", "wbe2e-stream", "wbe2e-stand-in"];
const PASSWORD = "e2e-password-1";

export default async function compose({ root, artifacts, check }) {
  const webhook = await webhookReceiver();
  const smtp = await smtpServer();
  const deployment = new Deployment({ root, project: "wbe2e", prefix: PREFIX, ports: PORTS, password: PASSWORD });
  const { clone } = deployment;
  const url = `http://127.0.0.1:${PORTS.gateway}`;
  const gateway = new Gateway(url, PASSWORD);
  try {
    const up = await check("compose: up from a clean clone, every service healthy", async () => {
      removeContainers(...WATCHED_NAMES);
      buildWatched();
      startWatched("wbe2e-early", "i=1; while [ $i -le 1500 ]; do echo early $i; i=$((i+1)); done; while true; do /bin/busybox sleep 3600; done");
      deployment.compose("up", "--build", "--detach");
      await deployment.healthy();
      await until("login", 20, () => gateway.login());
    });
    if (!up) return;
    await check("compose: each service runs as its own user and owns its directory", () => {
      for (const [name, uid] of Object.entries(SERVICES)) {
        equal(deployment.container(name).Config.User, `${uid}:${uid}`, `user of ${name}`);
        const dir = name === "cadvisor" ? "agent" : name;
        equal(statSync(join(clone, "data", dir)).uid, uid, `owner of data/${dir}`);
      }
    });
    await check("compose: the agent is not privileged and the images hold only the binary", () => {
      const agent = deployment.container("cadvisor");
      equal([agent.HostConfig.Privileged, agent.HostConfig.PidMode], [false, "host"], "privileged, pid mode");
    });
    startContainers();
    await check("compose: a container's CPU and memory within 5 % of its cgroup's files", () => compareWithCgroup(gateway));
    await check("compose: exactly the lines that a container wrote, by name", async () => {
      await until("1000 lines", 60, async () => {
        const lines = await gateway.logs('{containers="e2ehost/wbe2e-writer"} |= "line number"');
        const numbers = new Set(lines.map(({ line }) => /line number (\d+)/.exec(line)?.[1]));
        equal([lines.length, numbers.size], [1000, 1000], "lines, distinct numbers");
        return true;
      });
      const found = await gateway.logs('{containers="e2ehost/wbe2e-writer"} |~ "/grafana" |~ "HTTP.1[.]1.. [4-5][0-9][0-9]"');
      equal(found.length, 40, "lines of the blog's query");
      const params = new URLSearchParams({ query: 'sum(count_over_time({containers="e2ehost/wbe2e-writer"} |~ "/grafana" |~ "HTTP.1[.]1.. [4-5][0-9][0-9]" [10m]))', time: `${Date.now()}000000` });
      const { data } = await gateway.get(`loki/loki/api/v1/query?${params}`);
      equal(data.result[0]?.value[1], "40", "count_over_time of the blog's query");
    });
    await check("compose: of a container that ran before the agent, the newest 1,000 lines", async () => {
      await until("the last lines", 30, async () => {
        const numbers = (await gateway.logs('{containers="e2ehost/wbe2e-early"}')).map(({ line }) => Number(line.split(" ")[1]));
        equal([numbers.length, Math.min(...numbers), Math.max(...numbers)], [1000, 501, 1500], "count, first, last");
        return true;
      });
    });
    await browse({ url, password: PASSWORD, artifacts, check, name: "compose", container: "wbe2e-burner" });
    await check("compose: hostile labels, lines and annotations are shown as text", async () => {
      await writeHostile(gateway);
      const explore = (query) => `explore?${new URLSearchParams(query)}`;
      const pages = {
        metrics: explore({ metrics: "e2e_hostile" }),
        logs: explore({ logs: '{app="hostile"}' }),
        "logs-by-label": explore({ logs: 'sum by (evil) (count_over_time({app="hostile"}[5m]))' }),
        alerts: "alerts",
      };
      await browseHostile({ url, password: PASSWORD, artifacts, pages });
    });
    await check("compose: idle, no service writes more than a line a second", async () => {
      const names = deployment.containers.map((name) => PREFIX + name).join("|");
      const found = await gateway.lines(`sum by (container) (count_over_time({container=~"${names}"}[1m]))`);
      assert(found.length > 0, "no lines of the services at all");
      const loud = found.filter(({ value }) => value > 60);
      equal(loud, [], "services that write more");
    });
    await check("compose: a bad configuration on reload keeps the old one and shows", async () => {
      const file = deployment.conf("prometheus.yaml");
      const good = readFileSync(file, "utf8");
      writeFileSync(file, good.replace("scrape_configs:", "scrape_confixs:"));
      deployment.signal("prometheus", "HUP");
      try {
        await until("the error on Status", 20, async () => {
          const status = await gateway.get("api/status");
          return status.services.some((service) => /scrape_confixs/.test(service.config_error ?? ""));
        });
        assert((await gateway.metrics("up")).length > 0, "still serving");
      } finally {
        writeFileSync(file, good);
      }
      deployment.signal("prometheus", "HUP");
      await until("the error is gone", 20, async () => (await gateway.get("api/status")).services.every((service) => !service.config_error));
    });
    await check("compose: alerts reach a webhook and a mailbox, once, and so does their end", () => alertsArrive({ deployment, gateway, webhook, smtp }));
    await check("compose: killed in turn while data flows, nothing acknowledged is lost", () => killInTurn(gateway, deployment));
    await check("compose: counts before down equal counts after up", async () => {
      const end = Math.floor(Date.now() / 1000) - 15;
      const samples = async () => (await gateway.metrics("sum(count_over_time(up[5m]))", end))[0]?.value;
      const lines = async () => (await gateway.logs('{containers="e2ehost/wbe2e-writer"}', { toMs: end * 1000 })).length;
      const before = [await samples(), await lines()];
      deployment.compose("down");
      deployment.compose("up", "--detach");
      await deployment.healthy();
      await gateway.login();
      equal([await samples(), await lines()], before, "samples and lines");
    });
    await check("compose: up again with rebuilt images replaces the containers and keeps the data", async () => {
      const end = Math.floor(Date.now() / 1000) - 15;
      const samples = async () => (await gateway.metrics("sum(count_over_time(up[10m]))", end))[0]?.value;
      const [before, old] = [await samples(), deployment.containers.map((name) => deployment.container(name))];
      assert(before > 0, "samples before");
      // Another binary that does the same: a loader does not read beyond the segments.
      for (const binary of BINARIES) appendFileSync(join(clone, "dist", "bin", binary), "\n");
      deployment.compose("up", "--build", "--detach");
      await deployment.healthy();
      await gateway.login();
      for (const { Id, Image, Name } of old) {
        const now = inspect(Name);
        assert(now.Id !== Id && now.Image !== Image, `${Name} still runs from the old image`);
      }
      equal(await samples(), before, "samples");
    });
    await check("compose: a directory that cannot be written ends the start with one line", () => {
      const dir = join(clone, "data", "locked");
      mkdirSync(dir);
      chmodSync(dir, 0o755);
      const done = run(DOCKER, ["run", "--rm", "--user", "5678:5678", "--volume", `${dir}:/prometheus`, "watchbell/metrics:e2e", "--config.file=/dev/null", "--storage.tsdb.path=/prometheus"], { mayFail: true });
      assert(done.status !== 0, "it started");
      assert(/cannot write \/prometheus as UID 5678.*chown/.test(done.out + done.err), done.out + done.err);
    });
  } finally {
    removeContainers(...WATCHED_NAMES);
    deployment.remove(artifacts);
    webhook.close();
    smtp.close();
  }
}

function startContainers() {
  // As in a JSON event, the quote after the protocol is escaped: the blog's query counts on two characters there.
  const script = `i=1; while [ $i -le 1000 ]; do
    if [ $((i % 25)) = 0 ]; then echo 'line number '$i' "GET /grafana HTTP/1.1\\" 404'; else echo 'line number '$i' "GET /other HTTP/1.1\\" 404'; fi
    i=$((i+1)); done; while true; do /bin/busybox sleep 3600; done`;
  startWatched("wbe2e-writer", script);
  startWatched("wbe2e-burner", "x=$(/bin/busybox head -c 8000000 /dev/zero | /bin/busybox tr '\\\\0' a); while true; do :; done", "--cpus", "0.3");
  // Numbers once every 50 ms, for the kills.
  startWatched("wbe2e-stream", "i=0; while true; do echo \"tick $i\"; i=$((i+1)); /bin/busybox usleep 50000; done");
}

async function compareWithCgroup(gateway) {
  const id = inspect("wbe2e-burner").Id;
  const file = (...paths) => paths.find((path) => existsSync(path));
  const v1 = file(`/sys/fs/cgroup/cpuacct/docker/${id}/cpuacct.usage`, `/sys/fs/cgroup/cpu,cpuacct/docker/${id}/cpuacct.usage`);
  const v2 = file(`/sys/fs/cgroup/system.slice/docker-${id}.scope/cpu.stat`, `/sys/fs/cgroup/docker/${id}/cpu.stat`);
  const seconds = () => (v1 ? Number(readFileSync(v1, "utf8")) / 1e9 : Number(/usage_usec (\d+)/.exec(readFileSync(v2, "utf8"))[1]) / 1e6);
  const query = 'rate(container_cpu_usage_seconds_total{name="wbe2e-burner",image!="",job="monitor_server"}[40s])';
  await until("the burner's series", 40, async () => (await gateway.metrics('container_cpu_user_seconds_total{name="wbe2e-burner",image!="",job="monitor_server"}')).length === 1);
  const [startedAt, started] = [Date.now(), seconds()];
  await until("40 s of samples", 60, () => Date.now() - startedAt > 42_000);
  const real = (seconds() - started) / ((Date.now() - startedAt) / 1000);
  const [found] = await gateway.metrics(query);
  assert(Math.abs(found.value - real) / real < 0.05, `CPU: metrics say ${found.value}, the cgroup ${real}`);
  const memoryFile = file(`/sys/fs/cgroup/memory/docker/${id}/memory.usage_in_bytes`, `/sys/fs/cgroup/system.slice/docker-${id}.scope/memory.current`, `/sys/fs/cgroup/docker/${id}/memory.current`);
  const [memory] = await gateway.metrics('container_memory_usage_bytes{name="wbe2e-burner",image!="",job="monitor_server"}');
  const bytes = Number(readFileSync(memoryFile, "utf8"));
  assert(Math.abs(memory.value - bytes) / bytes < 0.05, `memory: metrics say ${memory.value}, the cgroup ${bytes}`);
}

/** A series, a line and an alert as somebody would send them who means harm. */
async function writeHostile(gateway) {
  const labels = { __name__: "e2e_hostile", evil: HOSTILE };
  equal(await writeSample(`http://127.0.0.1:${PORTS.metrics}`, labels, 1, Date.now()), 204, "remote write");
  const body = JSON.stringify({ streams: [{ stream: { app: "hostile", evil: HOSTILE }, values: [[`${Date.now()}000000`, `${HOSTILE} \u001b[31mred\u0007`]] }] });
  const headers = { "Content-Type": "application/json" };
  equal((await fetch(`http://127.0.0.1:${PORTS.logs}/loki/api/v1/push`, { method: "POST", headers, body })).status, 204, "push");
  const alert = { labels: { alertname: "Hostile", evil: HOSTILE }, annotations: { summary: HOSTILE, runbook_url: "javascript:globalThis.hostile=3" }, generatorURL: "javascript:globalThis.hostile=4" };
  await gateway.post("alertmanager/api/v2/alerts", [alert]);
}

/** Rules that fire when a stand-in stops; grouping by alert name and one per alert; a receiver of each kind. */
async function alertsArrive({ deployment, gateway, webhook, smtp }) {
  const gatewayAddress = hostAddress();
  const rules = deployment.conf("prometheus_alert.rules");
  const alerts = deployment.conf("alertmanager.yaml");
  const kept = [readFileSync(rules, "utf8"), readFileSync(alerts, "utf8")];
  writeFileSync(
    rules,
    `groups:
- name: stand-ins
  interval: 5s
  rules:
  - alert: stand_in_down
    expr: absent(container_memory_usage_bytes{name="wbe2e-stand-in"})
    for: 10s
    labels:
      severity: critical
    annotations:
      summary: "Container '{{ $labels.name }}' down"
`,
  );
  writeFileSync(
    alerts,
    `global:
  smtp_smarthost: '${gatewayAddress}:${smtp.port}'
  smtp_from: 'watchbell@example.com'
  smtp_require_tls: false
route:
  receiver: both
  group_by: [alertname]
  group_wait: 2s
  group_interval: 5s
  repeat_interval: 4h
receivers:
- name: both
  webhook_configs:
  - url: http://${gatewayAddress}:${webhook.port}/hook
  email_configs:
  - to: ops@example.com
    send_resolved: true
`,
  );
  try {
    startWatched("wbe2e-stand-in", "/bin/busybox sleep 3600");
    await until("the stand-in is seen", 40, async () => (await gateway.metrics('container_memory_usage_bytes{name="wbe2e-stand-in"}')).length === 1);
    deployment.signal("prometheus", "HUP");
    deployment.signal("alertmanager", "HUP");
    docker("rm", "--force", "wbe2e-stand-in");
    const states = new Set();
    await until("pending, then firing", 60, async () => {
      const { data } = await gateway.get("prometheus/api/v1/alerts");
      for (const alert of data.alerts) if (alert.labels.alertname === "stand_in_down") states.add(alert.state);
      return states.has("firing");
    });
    assert(states.has("pending"), "the alert was never pending");
    const calls = (status) => webhook.bodies.filter((body) => body.status === status && body.groupLabels.alertname === "stand_in_down");
    const mails = () => smtp.mails.filter((mail) => mail.includes("stand_in_down"));
    await until("one webhook call", 40, () => calls("firing").length > 0);
    const firing = calls("firing");
    equal([firing.length, firing[0].version, firing[0].alerts.length, firing[0].alerts[0].annotations.summary], [1, "4", 1, "Container 'wbe2e-stand-in' down"], "the webhook's body");
    await until("one mail", 40, () => mails().length === 1);
    startWatched("wbe2e-stand-in", "/bin/busybox sleep 3600");
    await until("the resolved ones", 90, () => calls("resolved").length > 0 && mails().length === 2);
    equal([calls("firing").length, calls("resolved").length], [1, 1], "webhook calls in all");
  } finally {
    writeFileSync(rules, kept[0]);
    writeFileSync(alerts, kept[1]);
    deployment.signal("prometheus", "HUP");
    deployment.signal("alertmanager", "HUP");
    removeContainers("wbe2e-stand-in");
  }
}

/** Sends numbered samples until it is told to stop; keeps those that were acknowledged. */
function acknowledgedSamples() {
  const acknowledged = new Map();
  let stopped = false;
  const done = (async () => {
    for (let i = 0; !stopped; i += 1) {
      const now = Date.now();
      if ((await writeSample(`http://127.0.0.1:${PORTS.metrics}`, { __name__: "e2e_acknowledged" }, i, now)) === 204) acknowledged.set(now, i);
      await sleep(20);
    }
  })();
  return { acknowledged, stop: () => ((stopped = true), done) };
}

/** kill -9 of each server and of the agent while a container writes numbers and samples come in; then all must be there. */
async function killInTurn(gateway, deployment) {
  const writer = acknowledgedSamples();
  for (const name of ["loki", "prometheus", "alertmanager", "cadvisor"]) {
    deployment.signal(name, "KILL");
    docker("start", PREFIX + name);
    await deployment.healthy();
  }
  await writer.stop();
  assert(writer.acknowledged.size > 100, `only ${writer.acknowledged.size} samples were acknowledged`);
  const { data } = await gateway.get("prometheus/api/v1/query?query=" + encodeURIComponent("e2e_acknowledged[30m]"));
  const stored = new Map(data.result[0].values.map(([seconds, value]) => [Math.round(seconds * 1000), Number(value)]));
  const lost = [...writer.acknowledged].filter(([time, value]) => stored.get(time) !== value);
  equal(lost.length, 0, `lost of ${writer.acknowledged.size} acknowledged samples, such as ${JSON.stringify(lost.slice(0, 5))}`);
  const written = docker("logs", "wbe2e-stream").out.split("\n").filter((line) => line.startsWith("tick"));
  const newest = Number(written.at(-1).slice(5));
  await until("every tick up to the newest", 90, async () => {
    const have = new Set();
    let toMs = Date.now() + 60_000;
    // Pages backwards: an answer holds at most 5000 lines.
    for (;;) {
      const lines = await gateway.logs('{containers="e2ehost/wbe2e-stream"} |= "tick"', { toMs });
      for (const { line } of lines) have.add(Number(line.slice(5)));
      if (lines.length < 5000) break;
      toMs = Math.floor(Math.min(...lines.map(({ ns }) => Number(BigInt(ns) / 1_000_000n))));
    }
    const missing = [];
    for (let i = 0; i <= newest; i += 1) if (!have.has(i)) missing.push(i);
    assert(missing.length === 0, `${missing.length} of ${newest + 1} ticks are missing, such as ${missing.slice(0, 10)}`);
    return true;
  });
}
