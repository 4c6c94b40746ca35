// Docker and docker-compose as a user has them: what COMPOSE names, such as "docker compose", else 1.29 where it is installed, else the plugin.

import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./process.mjs";
import { equal, until } from "./wait.mjs";

export const DOCKER = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";
export const COMPOSE = process.env.COMPOSE ? process.env.COMPOSE.split(" ") : existsSync("/usr/bin/docker-compose") ? ["/usr/bin/docker-compose"] : [DOCKER, "compose"];
export const BINARIES = ["watchbell", "watchbell-metrics", "watchbell-logs", "watchbell-alerts", "watchbell-gateway", "watchbell-agent"];
/** The image of the containers that are watched: a static busybox. */
export const WATCHED = "wbe2e-watched";

export const docker = (...args) => run(DOCKER, args);
export const inspect = (name) => JSON.parse(docker("inspect", name).out)[0];

/** An address under which every container reaches this machine. */
export const hostAddress = () => docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").out.trim() || "172.17.0.1";

export function removeContainers(...names) {
  run(DOCKER, ["rm", "--force", ...names], { mayFail: true });
}

export function buildWatched() {
  const dir = mkdtempSync(join(tmpdir(), "watchbell-watched-"));
  copyFileSync("/bin/busybox", join(dir, "busybox"));
  writeFileSync(join(dir, "Dockerfile"), 'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\n');
  docker("build", "--quiet", "--tag", WATCHED, dir);
  rmSync(dir, { recursive: true, force: true });
}

/** Starts a container that is watched; `script` runs in busybox' shell. */
export function startWatched(name, script, ...options) {
  docker("run", "--detach", "--name", name, ...options, WATCHED, "sh", "-c", script);
}

/** The compose deployment in a clean clone, with the binaries of dist/bin. */
export class Deployment {
  constructor({ root, project, prefix, ports, password, env = {} }) {
    this.prefix = prefix;
    this.project = project;
    this.containers = ["grafana", "prometheus", "alertmanager", "loki", "cadvisor"];
    this.clone = mkdtempSync(join(tmpdir(), "watchbell-clone-"));
    run("git", ["clone", "--quiet", "--local", "--no-hardlinks", root, this.clone]);
    mkdirSync(join(this.clone, "dist", "bin"), { recursive: true });
    for (const binary of BINARIES) copyFileSync(join(root, "dist", "bin", binary), join(this.clone, "dist", "bin", binary));
    this.env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: project,
      DOCKER_GID: String(statSync("/var/run/docker.sock").gid),
      GF_SECURITY_ADMIN_PASSWORD: password,
      WATCHBELL_DOCKERFILE: "deploy/Dockerfile.prebuilt",
      WATCHBELL_TAG: "e2e",
      WATCHBELL_PREFIX: prefix,
      WATCHBELL_GATEWAY_PORT: String(ports.gateway),
      WATCHBELL_METRICS_PORT: String(ports.metrics),
      WATCHBELL_LOGS_PORT: String(ports.logs),
      WATCHBELL_HOST_NAME: "e2ehost",
      ...env,
    };
  }

  compose(...args) {
    return run(COMPOSE[0], [...COMPOSE.slice(1), ...args], { cwd: this.clone, env: this.env });
  }

  conf(name) {
    return join(this.clone, "conf", name);
  }

  container(name) {
    return inspect(this.prefix + name);
  }

  signal(name, signal) {
    docker("kill", "--signal", signal, this.prefix + name);
  }

  /** Waits until each service says that it is healthy. */
  healthy(seconds = 120) {
    return until("all services are healthy", seconds, () => {
      for (const name of this.containers) {
        const { Health } = this.container(name).State;
        equal(Health.Status, "healthy", `${name}: ${Health.Log?.at(-1)?.Output}`);
      }
      return true;
    });
  }

  /** Keeps the logs of the services that are there. */
  keepLogs(artifacts) {
    for (const name of this.containers) {
      const logs = run(DOCKER, ["logs", this.prefix + name], { mayFail: true });
      if (logs.status === 0) writeFileSync(join(artifacts, `${this.project}-${name}.log`), logs.out + logs.err);
    }
  }

  /** Keeps the services' logs and removes everything. */
  remove(artifacts) {
    this.keepLogs(artifacts);
    run(COMPOSE[0], [...COMPOSE.slice(1), "down", "--volumes"], { cwd: this.clone, env: this.env, mayFail: true });
    rmSync(this.clone, { recursive: true, force: true });
  }
}

/** Restarts the engine: by the init system where there is one, else by hand, as it was started. */
export async function restartEngine() {
  if (existsSync("/run/systemd/system")) {
    run("systemctl", ["restart", "docker"]);
  } else {
    const pid = Number(readFileSync("/var/run/docker.pid", "utf8"));
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean).slice(1);
    const engine = readlinkSync(`/proc/${pid}/exe`);
    process.kill(pid, "SIGTERM");
    await until("the engine ended", 60, () => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8")));
    rmSync("/var/run/docker.pid", { force: true });
    const log = openSync(join(tmpdir(), "watchbell-dockerd.log"), "a");
    spawn(engine, args, { detached: true, stdio: ["ignore", log, log] }).unref();
  }
  await until("the engine answers", 90, () => run(DOCKER, ["info"], { mayFail: true }).status === 0);
}
