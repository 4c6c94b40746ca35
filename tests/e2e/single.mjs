// `watchbell`: one process, no configuration, data of this machine within seconds, history over a restart.

import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { browse } from "./browser.mjs";
import { Gateway } from "./lib/gateway.mjs";
import { Daemon, run } from "./lib/process.mjs";
import { assert, equal, until } from "./lib/wait.mjs";

const OFFSET = 10_000;

export default async function single({ root, artifacts, check }) {
  const data = mkdtempSync(join(tmpdir(), "watchbell-e2e-"));
  const binary = join(root, "dist", "bin", "watchbell");
  // An empty folder: nothing but the binary itself.
  const cwd = mkdtempSync(join(tmpdir(), "watchbell-cwd-"));
  const start = (extra = []) => new Daemon(binary, ["--data", data, "--port-offset", String(OFFSET), ...extra], { cwd });
  const url = `http://127.0.0.1:${3000 + OFFSET}`;
  let daemon = start();
  let gateway;
  try {
    await check("single: says where to look and the first login", async () => {
      await until("the address is printed", 30, () => {
        assert(!daemon.exited, `ended: ${JSON.stringify(daemon.exited)}\n${daemon.output}`);
        return /http:\/\/localhost:13000/.test(daemon.output) && /First login: user admin/.test(daemon.output);
      });
      const file = join(data, "grafana", "initial-password");
      equal(statSync(file).mode & 0o777, 0o600, "mode of initial-password");
      gateway = await new Gateway(url, readFileSync(file, "utf8").trim()).login();
    });
    await check("single: host metrics and log lines of this machine within 30 s", async () => {
      await until("CPU and memory of this machine", 30, async () => {
        const [cpu, memory] = await Promise.all([gateway.metrics("sum(rate(node_cpu_seconds_total[1m]))"), gateway.metrics("node_memory_MemTotal_bytes")]);
        return cpu.length === 1 && memory.length === 1 && memory[0].value > 1e8;
      });
    });
    await check("single: every target is up", async () => {
      await until("targets", 60, async () => {
        const { data: targets } = await gateway.get("prometheus/api/v1/targets");
        const down = targets.activeTargets.filter((target) => target.health !== "up");
        assert(down.length === 0, `not up: ${down.map((target) => `${target.scrapeUrl}: ${target.lastError}`).join("; ")}`);
        return targets.activeTargets.length >= 5;
      });
    });
    await check("single: nothing but the gateway listens beyond loopback", async () => {
      const { out } = run("sh", ["-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null"]);
      const hex = (port) => (port + OFFSET).toString(16).toUpperCase().padStart(4, "0");
      for (const port of [9090, 3100, 9093, 8080]) {
        const lines = out.split("\n").filter((line) => new RegExp(`:${hex(port)} [0-9A-F]+:0000 0A`).test(line));
        assert(lines.length > 0, `nothing listens on ${port + OFFSET}`);
        assert(lines.every((line) => line.includes(`0100007F:${hex(port)}`)), `port ${port + OFFSET} is open beyond 127.0.0.1`);
      }
    });
    await check("single: unknown paths are 404, never the UI's page", async () => {
      for (const path of ["rules/test/test", "alertmanager/alertmanager/api/v2/status", "nope"]) {
        const response = await fetch(`${url}/${path}`, { headers: { Cookie: gateway.cookie } });
        equal(response.status, 404, path);
        assert(!(await response.text()).includes("<html"), `${path} answers a page`);
      }
      equal((await fetch(`${url}/prometheus/api/v1/query?query=up`)).status, 401, "a query without a login");
    });
    await check("single: the blog's own files load, or are refused as the originals refuse them", () => {
      const blog = (name) => join(root, "tests", "blog", name);
      const ask = (service, file) => run(join(root, "dist", "bin", `watchbell-${service}`), ["check-config", file], { mayFail: true });
      for (const [service, file] of [["metrics", "prometheus.yaml"], ["logs", "loki.yaml"], ["agent", "vector.toml"]]) {
        const { status, out, err } = ask(service, blog(file));
        equal(status, 0, `${file}: ${out}${err}`);
      }
      const refused = ask("alerts", blog("alertmanager.yaml"));
      assert(refused.status !== 0 && refused.err.includes("team-IT-Support-mails"), `alertmanager.yaml: ${refused.out}${refused.err}`);
      const mended = join(data, "alertmanager.yaml");
      writeFileSync(mended, readFileSync(blog("alertmanager.yaml"), "utf8").replace("team-IT-Support-mails", "team--IT-Support--mails"));
      equal(ask("alerts", mended).status, 0, "with the name mended");
      for (const [service, file] of [["metrics", "prometheus.yaml"], ["logs", "loki.yaml"], ["alerts", "alertmanager.yaml"], ["agent", "vector.toml"]]) {
        const { status, out, err } = ask(service, join(root, "conf", file));
        equal(status, 0, `conf/${file}: ${out}${err}`);
      }
    });
    await browse({ url, password: gateway.password, artifacts, check, name: "single" });
    await check("single: a port that is taken is named with its flag", async () => {
      const blocker = createServer();
      await new Promise((resolve) => blocker.listen(9093 + OFFSET + 1, "127.0.0.1", resolve));
      try {
        const second = run(binary, ["--data", join(data, "second"), "--port-offset", String(OFFSET + 1)], { mayFail: true, timeout: 20_000, cwd });
        equal(second.status, 2, "exit code");
        assert(second.err.includes("--listen.alerts") && !second.err.includes("--listen.logs"), second.err);
      } finally {
        blocker.close();
      }
    });
    await check("single: without any network beyond loopback it starts, takes data and serves its page", () => withoutNetwork(binary, cwd));
    await check("single: without Docker, files under /var/log serve and Status names the socket", () => withoutDocker(binary, cwd));
    let before;
    await check("single: Ctrl-C stops cleanly, started again the history is there", async () => {
      const time = Math.floor(Date.now() / 1000) - 5;
      before = (await gateway.metrics("count_over_time(node_load1[5m])", time))[0]?.value;
      assert(before > 0, "samples before the stop");
      const end = await daemon.end("SIGINT");
      equal(end.code, 0, `exit code\n${daemon.output.slice(-2000)}`);
      daemon = start();
      await until("ready again", 30, () => /Watchbell is ready/.test(daemon.output));
      await gateway.login();
      const after = (await gateway.metrics("count_over_time(node_load1[5m])", time))[0]?.value;
      equal(after, before, "samples in the same window");
    });
  } finally {
    await daemon.end("SIGTERM").catch((error) => console.log(String(error)));
    rmSync(data, { recursive: true, force: true });
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** A network namespace with nothing but loopback: what would need the internet fails here. */
async function withoutNetwork(binary, cwd) {
  const data = mkdtempSync(join(tmpdir(), "watchbell-offline-"));
  const inside = `/bin/busybox ip link set lo up && exec ${binary} --data ${data}`;
  const daemon = new Daemon("unshare", ["--net", "sh", "-c", inside], { cwd });
  try {
    await until("ready", 30, () => {
      assert(!daemon.exited, `ended: ${JSON.stringify(daemon.exited)}\n${daemon.output}`);
      return /Watchbell is ready/.test(daemon.output);
    });
    const password = readFileSync(join(data, "grafana", "initial-password"), "utf8").trim();
    const ask = (path) => {
      const url = `http://127.0.0.1:3000/${path}`;
      const done = run("nsenter", ["--net", "--target", String(daemon.child.pid), "/bin/busybox", "wget", "-q", "-O", "-", "--header", `Authorization: Basic ${btoa(`admin:${password}`)}`, url], { mayFail: true });
      assert(done.status === 0, `${url}: ${done.err}`);
      return done.out;
    };
    const page = ask("");
    for (const [, file] of page.matchAll(/(?:src|href)="(\.?\/?assets\/[^"]+)"/g)) assert(ask(file.replace(/^\.?\//, "")).length > 0, file);
    await until("memory of this machine", 40, () => JSON.parse(ask("prometheus/api/v1/query?query=node_memory_MemTotal_bytes")).data.result.length === 1);
  } finally {
    await daemon.end("SIGTERM").catch((error) => console.log(String(error)));
    rmSync(data, { recursive: true, force: true });
  }
}

/** Lines of a file under /var/log where no Docker engine can be reached. */
async function withoutDocker(binary, cwd) {
  const data = mkdtempSync(join(tmpdir(), "watchbell-no-docker-"));
  const file = "/var/log/watchbell-e2e.log";
  writeFileSync(file, "line 1 of a file\nline 2 of a file\n");
  const offset = OFFSET + 2;
  const env = { ...process.env, DOCKER_HOST: "unix:///nowhere/docker.sock", GF_SECURITY_ADMIN_PASSWORD: "e2e-password-3" };
  const daemon = new Daemon(binary, ["--data", data, "--port-offset", String(offset)], { cwd, env });
  try {
    const gateway = new Gateway(`http://127.0.0.1:${3000 + offset}`, "e2e-password-3");
    await until("login", 30, () => gateway.login());
    const lines = async () => (await gateway.logs(`{service_name=~".+",filename="${file}"}`)).map(({ line }) => line).sort();
    await until("both lines", 30, async () => (await lines()).length === 2);
    appendFileSync(file, "line 3 of a file\n");
    await until("the line that was added", 30, async () => (await lines()).length === 3);
    equal(await lines(), [1, 2, 3].map((i) => `line ${i} of a file`), "lines");
    await until("Status names the socket and what to grant", 30, async () => {
      const { agents } = await gateway.get("api/status");
      const docker = agents.flatMap((agent) => agent.unreadable).find((one) => /docker/i.test(one.what + one.why));
      return docker && docker.grant !== "";
    });
  } finally {
    await daemon.end("SIGTERM").catch((error) => console.log(String(error)));
    rmSync(file, { force: true });
    rmSync(data, { recursive: true, force: true });
  }
}
