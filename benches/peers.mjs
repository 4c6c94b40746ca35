// The same load for the real peers and for Watchbell, one server after the other, and the ratios.
//   node benches/peers.mjs [--series 100000] [--duration 2h] [--lines 5000000] [--runs 5] [--targets 2000] [--only metrics|scrape|logs|alerts]
//                          [--alerts 100000] [--groups 1000] [--rounds 6] [--every 10s] [--requests 50] [--patience 60s]
// Peers are Debian's `prometheus`, `victoria-metrics` and `prometheus-alertmanager`; as root they are installed where they are missing. Ours are
// dist/bin (make binaries).
// Alerts: posted in rounds `every` so long, in each a hundredth resolved and as many new; then each question is asked `requests` times, for
// `patience` at most. Messages go to a receiver in the rig (127.0.0.1:19795).
// Log lines: LOG_CORPUS names a directory of *.log files, such as the 2k samples of loghub; without it logs are left out.

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const work = join(root, "target", "bench-peers");
const rig = join(root, "benches", "rig", "target", "release", "rig");
const options = { series: "100000", duration: "2h", lines: "5000000", runs: "5", targets: "2000", only: "", alerts: "100000", groups: "1000", rounds: "6", every: "10s", requests: "50", patience: "60s" };
for (let i = 2; i < process.argv.length; i += 2) options[process.argv[i].replace(/^--/, "")] = process.argv[i + 1];

const METRICS = {
  watchbell: (dir, port) => [join(root, "dist", "bin", "watchbell-metrics"), ["--config.file=prometheus.yml", `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver"]],
  prometheus: (dir, port) => ["prometheus", ["--config.file=prometheus.yml", `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver"]],
  "victoria-metrics": (dir, port) => ["victoria-metrics", [`-storageDataPath=${dir}/data`, `-httpListenAddr=127.0.0.1:${port}`, "-retentionPeriod=100y", "-search.disableCache", "-search.cacheTimestampOffset=0"]],
};
const LOGS = {
  watchbell: (dir) => [join(root, "dist", "bin", "watchbell-logs"), ["-config.file=loki.yaml"]],
};
const ALERTS = {
  watchbell: (dir, port) => [join(root, "dist", "bin", "watchbell-alerts"), ["--config.file=alertmanager.yml", `--storage.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`]],
  alertmanager: (dir, port) => ["prometheus-alertmanager", ["--config.file=alertmanager.yml", `--storage.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, "--cluster.listen-address="]],
};
const SCRAPE = {
  ...METRICS,
  "victoria-metrics": (dir, port) => ["victoria-metrics", [`-storageDataPath=${dir}/data`, `-httpListenAddr=127.0.0.1:${port}`, "-retentionPeriod=100y", "-promscrape.config=prometheus.yml"]],
};
const KINDS = { metrics: METRICS, scrape: SCRAPE, alerts: ALERTS, logs: LOGS };
const READY = { watchbell: "/-/ready", prometheus: "/-/ready", alertmanager: "/-/ready", "victoria-metrics": "/health", logs: "/ready" };

/** A server in a folder of its own, watched from the outside. */
class Server {
  constructor(kind, name, port) {
    Object.assign(this, { kind, name, port, dir: join(work, kind, name), peakAnon: 0 });
    this.url = `http://127.0.0.1:${port}`;
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(this.dir, { recursive: true });
    for (const file of ["prometheus.yml", "loki.yaml", "alertmanager.yml"]) copyFileSync(join(root, "benches", "rig", "peers", file), join(this.dir, file));
  }

  async start() {
    const [command, args] = KINDS[this.kind][this.name](this.dir, this.port);
    const log = openSync(join(this.dir, "log"), "a");
    const started = performance.now();
    this.child = spawn(command, args, { cwd: this.dir, stdio: ["ignore", log, log] });
    this.ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.on("error", (error) => fail(`${command}: ${error.message}`));
    const path = this.kind === "logs" ? READY.logs : READY[this.name];
    for (;;) {
      const status = await fetch(this.url + path).then((answer) => answer.status, () => 0);
      if (status === 200) break;
      if (this.child.exitCode !== null) fail(`${command} ended; see ${this.dir}/log`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.watch = setInterval(() => (this.peakAnon = Math.max(this.peakAnon, this.memory("RssAnon"))), 100);
    return (performance.now() - started) / 1000;
  }

  async end(signal) {
    clearInterval(this.watch);
    this.child.kill(signal);
    await this.ended;
  }

  /** MiB of a line of /proc/PID/status. */
  memory(field) {
    const line = new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"));
    return Number(line?.[1] ?? NaN) / 1024;
  }

  cpuSeconds() {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  rig(command, ...args) {
    return new Promise((resolve) => {
      const child = spawn(rig, [command, "--url", this.url, "--pid", String(this.child.pid), ...args], { stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      child.stdout.on("data", (data) => (out += data));
      child.on("exit", (code) => {
        writeFileSync(join(this.dir, `${command}.txt`), out);
        if (code !== 0) fail(`rig ${command} of ${this.name} ended with ${code}`);
        resolve(out);
      });
    });
  }
}

function fail(message) {
  console.error(`bench-peers: ${message}`);
  process.exit(1);
}

/** The numbers of the rig's "name   value" lines. */
const figures = (text) => Object.fromEntries([...text.matchAll(/^([a-z][^\d|\n]*?)\s+([\d.]+)/gim)].map(([, name, value]) => [name.trim(), Number(value)]));

/** The rig's table of queries: name to { p50, cpu, hash }. */
function queries(text) {
  const rows = text.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| query"));
  return Object.fromEntries(rows.map((row) => row.split("|").map((cell) => cell.trim())).map(([, name, p50, , cpu, series, points, hash]) => [name, { p50: Number(p50), cpu: Number(cpu), series, points, hash }]));
}

const diskMB = (dir) => Number(spawnSync("du", ["-sb", dir], { encoding: "utf8" }).stdout.split("\t")[0]) / 1e6;

async function measure(kind, name, port) {
  const server = new Server(kind, name, port);
  const rows = {};
  await server.start();
  rows["idle RssAnon MiB"] = server.memory("RssAnon");
  const logs = ["--corpus", process.env.LOG_CORPUS ?? "", "--lines", options.lines, "--streams", "200"];
  const metrics = ["--series", options.series, "--duration", options.duration];
  const taken = figures(await server.rig(`${kind}-ingest`, ...(kind === "logs" ? logs : metrics)));
  for (const key of ["server CPU us/sample", "samples/s", "server CPU s/GB raw", "server CPU us/line", "lines/s", "errors"]) if (key in taken) rows[key] = taken[key];
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  rows["RssAnon MiB after ingest"] = server.memory("RssAnon");
  const span = kind === "logs" ? `${Math.ceil(Number(options.lines) / 1000)}s` : options.duration;
  const table = queries(await server.rig(`${kind}-query`, "--queries", join(root, "benches", "rig", "queries", `${kind}.tsv`), "--duration", span, "--runs", options.runs, ...(name === "victoria-metrics" ? ["--extra", "nocache=1"] : [])));
  rows["RssAnon MiB at peak"] = server.peakAnon;
  rows["VmHWM MiB"] = server.memory("VmHWM");
  rows["disk MB, WAL included"] = diskMB(kind === "logs" ? server.dir : join(server.dir, "data"));
  await server.end("SIGKILL");
  rows["ready after kill -9, s"] = await server.start();
  rows["CPU s until then"] = server.cpuSeconds();
  await server.end("SIGTERM");
  return { rows, table };
}

/** Posts, questions and memory of an alert manager; the questions' rows hold p50, p99, server CPU and how often each was asked. */
async function measureAlerts(name, port) {
  const server = new Server("alerts", name, port);
  await server.start();
  const idle = server.memory("RssAnon");
  const text = await server.rig("alerts", ...["alerts", "groups", "rounds", "every", "requests", "patience"].flatMap((option) => [`--${option}`, options[option]]));
  const rows = { "idle RssAnon MiB": idle, ...figures(text) };
  const cells = text.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| query")).map((row) => row.split("|").map((cell) => cell.trim()));
  const table = Object.fromEntries(cells.map(([, question, p50, p99, cpu, requests, alerts, hash]) => [question, { p50: Number(p50), p99: Number(p99), cpu: Number(cpu), requests, alerts, hash }]));
  await server.end("SIGTERM");
  return { rows, table };
}

function reportAlerts({ watchbell: own, alertmanager: peer }) {
  const line = (...cells) => console.log(`| ${cells.join(" | ")} |`);
  const show = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const ratio = (theirs, ours) => (ours > 0 ? `×${show(theirs / ours)}` : "–");
  console.log("\n### alerts\n");
  line("figure", "watchbell", "alertmanager", "peer / ours");
  line("---", "---", "---", "---");
  for (const [name, value] of Object.entries(own.rows)) line(name, show(value), show(peer.rows[name]), ratio(peer.rows[name], value));
  console.log("\nQuestions: p50 / p99 / server CPU, ms; ratio of p99, of CPU\n");
  line("question", "alerts", "watchbell", "asked", "alertmanager", "asked", "p99", "CPU");
  line(...Array(8).fill("---"));
  for (const [name, ours] of Object.entries(own.table)) {
    const theirs = peer.table[name];
    const shown = ({ p50, p99, cpu }) => `${show(p50)} / ${show(p99)} / ${show(cpu)}`;
    line(name, ours.alerts, shown(ours), ours.requests, shown(theirs) + (theirs.hash === ours.hash ? "" : " (other answer)"), theirs.requests, ratio(theirs.p99, ours.p99), ratio(theirs.cpu, ours.cpu));
  }
}

/** Fifteen seconds' scrapes of many targets: CPU of the server, and how punctual it is. */
async function measureScraping(name, port) {
  const server = new Server("scrape", name, port);
  const targets = spawnSync(rig, ["scrape-targets", "--targets", options.targets], { encoding: "utf8" }).stdout.trim().split("\n");
  const lines = targets.map((target, n) => `  - {targets: ["${target}"], labels: {env: production, host: host-${String(n).padStart(4, "0")}, region: eu-central-1}}`);
  writeFileSync(join(server.dir, "prometheus.yml"), ["global: {scrape_interval: 15s, scrape_timeout: 10s}", "scrape_configs:", "- job_name: fleet", "  static_configs:", ...lines, ""].join("\n"));
  await server.start();
  const rows = {};
  const taken = figures(await server.rig("scrape", "--targets", options.targets));
  for (const key of ["server CPU us/sample", "samples scraped", "gaps off by over ms", "gap off at most ms", "gap off median ms"]) if (key in taken) rows[key] = taken[key];
  rows["RssAnon MiB"] = server.memory("RssAnon");
  if (name === "watchbell") {
    const late = /^watchbell_scrape_start_delay_seconds_bucket\{le="0.1"\} (\d+)[^]*?^watchbell_scrape_start_delay_seconds_count (\d+)/m.exec(await (await fetch(`${server.url}/metrics`)).text());
    rows["scrapes begun over 100 ms late"] = late ? Number(late[2]) - Number(late[1]) : undefined;
  }
  await server.end("SIGTERM");
  return { rows, table: {} };
}

function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Prints one table of figures and one of queries; ratios are peer / ours. */
function report(kind, results) {
  const [ours, ...peers] = Object.keys(results);
  const line = (...cells) => console.log(`| ${cells.join(" | ")} |`);
  const show = (value) => (value === undefined ? "–" : value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const ratio = (peer, own) => (peer === undefined || own === 0 ? "–" : `×${show(peer / own)}`);
  console.log(`\n### ${kind}\n`);
  line("figure", ours, ...peers.flatMap((peer) => [peer, "peer / ours"]));
  line(...Array(2 + peers.length * 2).fill("---"));
  for (const [name, value] of Object.entries(results[ours].rows)) {
    line(name, show(value), ...peers.flatMap((peer) => [show(results[peer].rows[name]), ratio(results[peer].rows[name], value)]));
  }
  if (Object.keys(results[ours].table).length === 0) return;
  console.log("\nQueries: p50 ms / server CPU ms; ratio of CPU\n");
  line("query", ours, ...peers.flatMap((peer) => [peer, "peer / ours"]));
  line(...Array(2 + peers.length * 2).fill("---"));
  for (const [name, own] of Object.entries(results[ours].table)) {
    const cells = peers.flatMap((peer) => {
      const theirs = results[peer].table[name];
      return theirs ? [`${theirs.p50} / ${theirs.cpu}${theirs.hash === own.hash ? "" : " (other answer)"}`, ratio(theirs.cpu, own.cpu)] : ["–", "–"];
    });
    line(name, `${own.p50} / ${own.cpu}`, ...cells);
  }
  for (const peer of peers) {
    const heavy = Object.entries(results[ours].table).filter(([name]) => (results.prometheus ?? results[peer]).table[name]?.cpu >= 5);
    if (heavy.length > 0) console.log(`\nGeometric mean of CPU, ${peer} / ours, over the ${heavy.length} queries that take Prometheus 5 ms or more: ×${show(geometricMean(heavy.map(([name, own]) => results[peer].table[name].cpu / own.cpu)))}`);
  }
}

function prepare() {
  const asked = Object.keys(KINDS).filter((kind) => options.only === "" || options.only === kind);
  if (asked.length === 0) fail(`--only ${options.only}: there are ${Object.keys(KINDS).join(", ")}`);
  const binaries = new Set(asked.map((kind) => (kind === "scrape" ? "watchbell-metrics" : `watchbell-${kind}`)));
  const absent = [...binaries].filter((name) => !existsSync(join(root, "dist", "bin", name)));
  if (absent.length > 0) fail(`dist/bin lacks ${absent.join(", ")}: run make binaries first`);
  const build = spawnSync("cargo", ["build", "--release", "--quiet", "--manifest-path", join(root, "benches", "rig", "Cargo.toml"), "--target-dir", join(root, "benches", "rig", "target")], { cwd: "/", stdio: "inherit" });
  if (build.status !== 0) fail("the rig could not be built");
  const needed = { metrics: ["prometheus", "victoria-metrics"], scrape: ["prometheus", "victoria-metrics"], logs: [], alerts: ["prometheus-alertmanager"] };
  const missing = asked.flatMap((kind) => needed[kind]).filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  if (missing.length === 0) return asked;
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...missing];
  if (process.getuid() !== 0 || spawnSync(install[0], install.slice(1), { stdio: "inherit" }).status !== 0) fail(`missing: ${missing.join(", ")}; run: sudo ${install.join(" ")}`);
  return asked;
}

const asked = prepare();
if (asked.includes("metrics")) {
  const results = {};
  for (const name of Object.keys(METRICS)) results[name] = await measure("metrics", name, 19090);
  report("metrics", results);
}
if (asked.includes("scrape")) {
  const results = {};
  for (const name of Object.keys(SCRAPE)) results[name] = await measureScraping(name, 19090);
  report("scrape", results);
}
if (asked.includes("alerts")) {
  const results = {};
  for (const name of Object.keys(ALERTS)) results[name] = await measureAlerts(name, 19793);
  reportAlerts(results);
}
if (asked.includes("logs")) {
  if (process.env.LOG_CORPUS) report("logs", { watchbell: await measure("logs", "watchbell", 13100) });
  else console.log("\nLogs were left out: LOG_CORPUS names no directory of *.log files.");
}
