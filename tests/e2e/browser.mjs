// Headless Chromium: logs in, sees every page with data, runs queries, keeps screenshots.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, equal } from "./lib/wait.mjs";

const ui = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "crates", "dashboard-gateway", "ui");
const require = createRequire(join(ui, "package.json"));
const { chromium } = require("playwright-core");
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PAGES = ["home", "dashboards", "explore", "alerts", "targets", "status"];

const launch = () =>
  chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

async function logIn(page, url, password) {
  await page.goto(url);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

/** Text that would run, or change the page, were it taken for markup anywhere. */
export const HOSTILE = `<img src=x onerror="globalThis.hostile=1"><script>globalThis.hostile=2</script>\u202e"'\u0060{{7*7}}`;

/** Visits the pages that show what others wrote, and checks that it is shown as text. */
export async function browseHostile({ url, password, artifacts, pages }) {
  const browser = await launch();
  try {
    const page = await (await browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
    await logIn(page, url, password);
    for (const [label, path] of Object.entries(pages)) {
      await page.goto(`${url}/${path}`);
      await page.getByText("<img src=x onerror=").first().waitFor({ timeout: 20_000 });
      await page.screenshot({ path: join(artifacts, `hostile-${label}.png`) });
      equal(await page.evaluate(() => globalThis.hostile ?? "not run"), "not run", `${label}: markup of a stranger ran`);
      equal(await page.locator('img[src="x"]').count(), 0, `${label}: markup of a stranger is part of the page`);
    }
  } finally {
    await browser.close();
  }
}

/** `container` names a container whose page is visited. */
export async function browse({ url, password, artifacts, check, name, container }) {
  const browser = await launch();
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: "dark" });
    const page = await context.newPage();
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) problems.push(`request to ${request.url()}`);
    });
    const shot = (label) => page.screenshot({ path: join(artifacts, `${name}-${label}.png`), fullPage: false });

    await check(`${name}: the browser logs in`, async () => {
      await page.goto(url);
      await page.getByLabel("Password").fill("wrong password");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText("User or password is wrong.").waitFor();
      await shot("login");
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByRole("button", { name: "Log out" }).waitFor();
      problems.length = 0; // 401s of the wrong password are expected
    });
    for (const one of PAGES) {
      await check(`${name}: page ${one}`, async () => {
        await page.goto(`${url}/${one}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await page.waitForLoadState("networkidle", { timeout: 20_000 }).catch(() => undefined);
        await shot(one);
        equal(await page.locator(".failure").count(), 0, `errors shown: ${await page.locator(".failure").allInnerTexts()}`);
        equal(await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth), false, "horizontal scroll");
        equal(problems.splice(0), [], "console errors");
      });
    }
    if (container) {
      await check(`${name}: a container's page and its host's`, async () => {
        await page.goto(`${url}/home`);
        const row = page.getByRole("link", { name: container, exact: true }).first();
        await row.waitFor({ timeout: 20_000 });
        await row.click();
        await page.getByRole("heading", { level: 1, name: container }).waitFor();
        await page.locator(".chart canvas").first().waitFor({ timeout: 20_000 });
        await page.waitForLoadState("networkidle", { timeout: 20_000 }).catch(() => undefined);
        await shot("container");
        equal(await page.locator(".failure").count(), 0, `container: ${await page.locator(".failure").allInnerTexts()}`);
        const instance = new URL(page.url()).searchParams.get("instance");
        await page.goto(`${url}/host?instance=${encodeURIComponent(instance)}`);
        await page.locator(".chart canvas").first().waitFor({ timeout: 20_000 });
        await page.waitForLoadState("networkidle", { timeout: 20_000 }).catch(() => undefined);
        await shot("host");
        equal(await page.locator(".failure").count(), 0, `host: ${await page.locator(".failure").allInnerTexts()}`);
        equal(problems.splice(0), [], "console errors");
      });
    }
    await check(`${name}: Explore answers a PromQL and a LogQL query`, async () => {
      await page.goto(`${url}/explore?metrics=${encodeURIComponent("sum by (job) (up)")}&logs=${encodeURIComponent('sum(count_over_time({containers=~".+"}[1m]))')}`);
      await page.locator(".chart canvas").first().waitFor({ timeout: 20_000 });
      await shot("explore-query");
      await page.goto(`${url}/explore?metrics=${encodeURIComponent("sum by (")}`);
      await page.locator(".failure").first().waitFor();
      problems.length = 0; // the 400 of the broken query is expected
    });
    await check(`${name}: dashboards draw their panels`, async () => {
      for (const uid of ["containers", "hosts", "logs", "watchbell"]) {
        await page.goto(`${url}/d/${uid}`);
        await page.locator(".grid-cell").first().waitFor({ timeout: 20_000 });
        await page.waitForLoadState("networkidle", { timeout: 20_000 }).catch(() => undefined);
        await shot(`dashboard-${uid}`);
        equal(await page.locator(".failure").count(), 0, `${uid}: ${await page.locator(".failure").allInnerTexts()}`);
      }
      equal(problems.splice(0), [], "console errors");
    });
    await check(`${name}: narrow, light, and accessible`, async () => {
      await page.emulateMedia({ colorScheme: "light" });
      for (const one of PAGES) {
        await page.setViewportSize({ width: 390, height: 844 });
        await page.goto(`${url}/${one}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await page.waitForLoadState("networkidle", { timeout: 15_000 }).catch(() => undefined);
        await shot(`narrow-${one}`);
        equal(await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth), false, `${one}: horizontal scroll at 390 px`);
        await page.evaluate(axeSource);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa"] }));
        const serious = violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
        assert(serious.length === 0, `${one}: ${serious.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`).join("; ")}`);
      }
    });
  } finally {
    await browser.close();
  }
}
