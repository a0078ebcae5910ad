// Starts the preview server that ONEALERT_PREVIEW names, and a browser to look at it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const LAUNCH = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** A running preview server; `say` gives it a command line, `stop` ends it and answers how long that took. */
export async function start(...args) {
  const program = process.env.ONEALERT_PREVIEW;
  if (!program) throw new Error("ONEALERT_PREVIEW must name the preview program; run the tests by `cargo test -p onealert-web --test browser`");
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([line]) => line),
    exited.then(([code]) => { throw new Error(`the preview server ended with ${code}`); }),
  ]);
  const url = line.replace("listening on ", "");
  return {
    url,
    port: Number(new URL(url).port),
    say: command => child.stdin.write(`${command}\n`),
    async stop() {
      const begun = performance.now();
      if (child.exitCode === null) child.kill("SIGTERM");
      const [code] = await exited;
      return { code, ms: performance.now() - begun };
    },
  };
}

export const launch = () => chromium.launch({ executablePath: process.env.ONEALERT_CHROMIUM ?? "/usr/bin/chromium", args: LAUNCH });

/** A page of a fresh context, signed in unless `user` is null. */
export async function open(browser, server, { user = "admin", width = 1280, height = 800, ...options } = {}) {
  const context = await browser.newContext({ baseURL: server.url, viewport: { width, height }, ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  if (user) await signIn(page, user);
  return page;
}

export async function signIn(page, user) {
  await page.goto("/login");
  await page.getByLabel("User name").fill(user);
  await page.getByLabel("Password").fill(`${user}-secret-1`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/\/status/);
}

export const PAGES = ["/status", "/sent", "/notifications", "/notifications/lockdown", "/notifications/new", "/send", "/triggers",
  "/triggers/tornado", "/triggers/new", "/schedules", "/schedules/school", "/schedules/new",
  "/schedules/school/settings", "/schedules/school/day?template=Normal%20day", "/schedules/school/except?from=2026-12-01&to=2026-12-01", "/endpoints", "/endpoints/main-hall", "/endpoints/new?driver=com.algo.speaker", "/groups",
  "/groups/DEFAULT", "/groups/new", "/drivers", "/drivers/com.algo.speaker", "/drivers/com.valcom.page", "/phones", "/local",
  "/redundancy", "/redundancy/what-if", "/redundancy/what-if?cause=calendar%3Aschool&day=2026-11-30&time=&dead=000000000000000000000000000000a1", "/redundancy/drill", "/servers", "/servers/000000000000000000000000000000b1", "/servers/conflicts",
  "/users", "/logs", "/logs/sync", "/account"];
