// End-to-end tests on real binaries, a real Docker engine and a real browser.
//   node tests/e2e/run.mjs [name ...]      names: single, compose, blog
//   COMPOSE="docker compose" node ...      with another docker-compose than 1.29
// Needs dist/bin (make binaries), Docker with docker-compose, Chromium, busybox-static for the containers that are watched.

import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, "..", "..");
const NAMES = ["single", "compose", "blog"];

const wanted = process.argv.slice(2);
const artifacts = join(root, "target", "e2e");
rmSync(artifacts, { recursive: true, force: true });
mkdirSync(artifacts, { recursive: true });

let passed = 0;
const failures = [];
/** One named check; a failure is reported and the scenario goes on where it can. Answers whether it passed. */
async function check(name, body) {
  const started = Date.now();
  try {
    await body();
    passed += 1;
    console.log(`ok      ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failures.push(name);
    console.log(`FAILED  ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n${error?.stack ?? error}`);
    return false;
  }
}

for (const name of wanted.length > 0 ? wanted : NAMES) {
  console.log(`--- ${name}`);
  const scenario = await import(`./${name}.mjs`);
  try {
    await scenario.default({ root, artifacts, check });
  } catch (error) {
    failures.push(name);
    console.log(`FAILED  ${name}: ${error?.stack ?? error}`);
  }
}
console.log(`${passed} passed, ${failures.length} failed`);
if (failures.length > 0) console.log(`failed: ${failures.join(", ")}`);
process.exit(failures.length > 0 ? 1 : 0);
