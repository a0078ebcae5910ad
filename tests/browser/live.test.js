// Pages that follow the installation, lose the server and find it again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, start } from "./server.js";

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

// An address of this process's own: nobody else is given its port while no server listens there.
const own = `127.${64 + (process.pid >> 16 & 63)}.${process.pid >> 8 & 255}.${process.pid & 255}`;
const stream = page => page.locator("[data-stream-text]");

test("what happens to a server is seen and spoken without a reload", async () => {
  const server = await start();
  const page = await open(browser, server);
  await page.goto("/status");
  await stream(page).getByText("Live").waitFor();
  server.say("down");
  await page.locator(".pulse").getByText("pb-1: Not heard").waitFor({ timeout: 30_000 });
  assert.equal(await page.locator("[data-announce]").textContent(), "pb-1: Not heard.");
  await page.getByRole("tab", { name: /^pb-1/ }).locator(".dot.bad").waitFor();
  server.say("up");
  await page.locator(".pulse").getByText("All 3 servers well").waitFor({ timeout: 30_000 });
  await server.stop();
});

test("a page that cannot hear the server says so, and is live again when it returns", async () => {
  const first = await start("--listen", `${own}:0`);
  const page = await open(browser, first);
  await stream(page).getByText("Live").waitFor();
  const { code, ms } = await first.stop();
  assert.equal(code, 0);
  assert.ok(ms < 50_000, `a stop with an open stream took ${ms} ms`);
  await stream(page).getByText("Reconnecting").waitFor();
  // The session went with the server, so the page asks to sign in: it does not stay and look alive.
  const second = await start("--listen", `${own}:${first.port}`);
  await page.waitForURL(/\/login\?next=/, { timeout: 20_000 });
  await page.getByLabel("User name").fill("admin");
  await page.getByLabel("Password").fill("admin-secret-1");
  await page.getByRole("button", { name: "Sign in" }).click();
  await stream(page).getByText("Live").waitFor();
  await second.stop();
});

test("seven pages of one browser are all live over TLS", async () => {
  const server = await start("--tls");
  const first = await open(browser, server);
  const pages = [first];
  for (let n = 1; n < 7; n += 1) {
    const page = await first.context().newPage();
    await page.goto("/status");
    pages.push(page);
  }
  for (const page of pages) await stream(page).getByText("Live").waitFor();
  server.say("down");
  for (const page of pages) await page.locator(".pulse").getByText("pb-1: Not heard").waitFor({ timeout: 30_000 });
  await server.stop();
});

test("the focus stays on a button whose surroundings change", async () => {
  const server = await start();
  const page = await open(browser, server);
  await page.request.post("/api/v1/notifications/lockdown/send", { headers: { origin: server.url } });
  const button = page.getByRole("button", { name: "Stop Lockdown" });
  await button.focus();
  await page.getByText(/[3-5] of 5 reached/).waitFor({ timeout: 30_000 });
  assert.ok(await button.evaluate(it => it === document.activeElement));
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is being sent.").waitFor();
  await server.stop();
});
