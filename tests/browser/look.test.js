// Every page: accessible, quiet, light, and never wider than the window.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { PAGES, launch, open, start } from "./server.js";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const BUDGET = 120_000;
let browser, primary, secondary, empty, axe;

before(async () => {
  axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  [primary, secondary, empty] = [await start(), await start("--secondary"), await start("--empty")];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all([primary, secondary, empty].map(it => it?.stop()));
});

async function everyPage(page) {
  const sent = await page.request.get("/api/v1/sent?limit=2").then(it => it.json());
  return [...PAGES, ...sent.rows.slice(1).map(row => `/sent/${row.activation}`), "/nothing-here", "/login"];
}

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(rules => window.axe.run({ runOnly: rules }), RULES);
  return found.violations.map(it => `${it.id}: ${it.nodes.map(node => node.target.join(" ")).slice(0, 3).join(" | ")}`);
}

for (const colorScheme of ["light", "dark"]) {
  test(`no accessibility rule is broken, ${colorScheme}`, async () => {
    const page = await open(browser, primary, { colorScheme, bypassCSP: true });
    for (const path of await everyPage(page)) {
      await page.goto(path);
      assert.deepEqual(await violations(page), [], path);
    }
  });
}

test("no accessibility rule is broken on a secondary, on an empty server and in a form with mistakes", async () => {
  for (const server of [secondary, empty]) {
    const page = await open(browser, server, { bypassCSP: true });
    for (const path of ["/status", "/sent", "/notifications", "/endpoints", "/triggers", "/groups", "/groups/DEFAULT", "/drivers", "/send"]) {
      await page.goto(path);
      assert.deepEqual(await violations(page), [], path);
    }
  }
  const page = await open(browser, primary, { bypassCSP: true });
  await page.goto("/endpoints/new?driver=com.algo.speaker");
  await page.getByRole("button", { name: "Save endpoint" }).click();
  assert.deepEqual(await violations(page), [], "form with mistakes");
  await page.request.post("/api/v1/notifications/lockdown/send", { headers: { origin: primary.url } });
  await page.goto("/status");
  await page.getByRole("button", { name: "Stop Lockdown" }).waitFor();
  assert.deepEqual(await violations(page), [], "something is being sent");
});

test("pages load without errors, from this server only, and within their weight", async () => {
  const page = await open(browser, primary);
  const wrong = [];
  page.on("console", message => message.type() === "error" && !message.text().includes("404") && wrong.push(message.text()));
  page.on("pageerror", error => wrong.push(String(error)));
  // A browser drops what it is still loading when it is sent to the next page; that is no failure of the page.
  page.on("requestfailed", request => request.failure()?.errorText !== "net::ERR_ABORTED" && wrong.push(`failed: ${request.url()}`));
  page.on("request", request => request.url().startsWith(primary.url) || wrong.push(`elsewhere: ${request.url()}`));
  const tools = await page.context().newCDPSession(page);
  await tools.send("Network.enable");
  let bytes = 0;
  tools.on("Network.loadingFinished", event => { bytes += event.encodedDataLength; });
  for (const path of await everyPage(page)) {
    bytes = 0;
    await page.goto(path, { waitUntil: "load" });
    assert.ok(bytes < BUDGET, `${path} weighs ${bytes} bytes`);
  }
  assert.deepEqual(wrong, []);
});

test("at 320 pixels no page scrolls sideways", async () => {
  for (const server of [primary, secondary]) {
    const page = await open(browser, server, { width: 320, height: 640 });
    for (const path of await everyPage(page)) {
      await page.goto(path);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 320, `${path} is ${width} pixels wide`);
      // A row is a card here, its columns' names beside the values: the values must leave them room.
      const rooms = await page.locator("td[data-label], tbody th[data-label]").evaluateAll(cells => cells.map(it => parseFloat(getComputedStyle(it).paddingLeft)));
      assert.ok(rooms.every(room => room >= 100), `${path} writes values over the names of their columns`);
    }
  }
});

test("a script that somebody gets into a page does not run", async () => {
  const page = await open(browser, primary);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return window.ran === true;
  });
  assert.equal(ran, false);
});

test("on paper there are no buttons and every server's panel", async () => {
  const page = await open(browser, primary);
  await page.goto("/status");
  await page.emulateMedia({ media: "print" });
  for (const name of ["pa-1", "pa-2", "pb-1"]) {
    assert.ok(await page.getByRole("heading", { name, exact: true }).isVisible(), name);
  }
  assert.equal(await page.getByRole("button").filter({ visible: true }).count(), 0);
});

test("targets are large enough", async () => {
  const page = await open(browser, primary, { width: 390, height: 800 });
  for (const path of ["/status", "/send", "/groups/DEFAULT"]) {
    await page.goto(path);
    for (const button of await page.getByRole("button").filter({ visible: true }).all()) {
      const { height, width } = await button.boundingBox();
      assert.ok(height >= 24 && width >= 24, `${path}: ${await button.textContent()} is ${width} x ${height}`);
    }
    for (const urgent of await page.locator(".urgent button, .urgent a").all()) {
      assert.ok((await urgent.boundingBox()).height >= 44, `${path}: ${await urgent.textContent()}`);
    }
  }
});
