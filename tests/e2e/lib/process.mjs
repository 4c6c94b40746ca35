// Child processes whose output is kept for the report.

import { spawn, spawnSync } from "node:child_process";

/** Runs to the end; throws with its output where it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 << 20, timeout: 600_000, ...options });
  if (done.error) throw done.error;
  if (done.status !== 0 && !options.mayFail) {
    throw new Error(`${command} ${args.join(" ")} ended with ${done.status ?? done.signal}\n${done.stdout}\n${done.stderr}`);
  }
  return { status: done.status, out: done.stdout, err: done.stderr };
}

/** A process that goes on while the test does. */
export class Daemon {
  constructor(command, args, options = {}) {
    this.name = command.split("/").pop();
    this.output = "";
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.ended = new Promise((resolve) => this.child.on("exit", (code, signal) => resolve({ code, signal })));
    this.exited = undefined;
    void this.ended.then((end) => (this.exited = end));
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (data) => (this.output = (this.output + data).slice(-200_000)));
  }

  /** Sends a signal and waits for the end. */
  async end(signal = "SIGTERM", seconds = 40) {
    if (this.exited) return this.exited;
    this.child.kill(signal);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        this.child.kill("SIGKILL");
        reject(new Error(`${this.name} did not end within ${seconds} s of ${signal}\n${this.output.slice(-4000)}`));
      }, seconds * 1000);
    });
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
