// Jobs as people do them, with their click budgets, by mouse, by keyboard, and without script.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, signIn, start } from "./server.js";

let browser, server;

before(async () => {
  server = await start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Clicks and counts. */
function counter(page) {
  const counted = { clicks: 0, click: async locator => { counted.clicks += 1; await locator.click(); } };
  return counted;
}

/**
 * Clicks a button and the confirmation that it turns into, which is taken back after five seconds: where the machine was too slow
 * for that, both again. A person needs two clicks.
 */
async function confirmed(counted, ask, confirm) {
  for (let tries = 1; ; tries += 1) {
    await ask.click();
    try {
      await confirm.click({ timeout: 5000 });
      break;
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
  counted.clicks += 2;
}

test("sending takes three clicks and stopping all takes two", async () => {
  const page = await open(browser, server, { user: "sender" });
  const send = counter(page);
  await send.click(page.getByRole("link", { name: "Send", exact: true }));
  await confirmed(send, page.getByRole("button", { name: /^Lockdown/ }), page.getByRole("button", { name: /Send now: Lockdown/ }));
  await page.waitForURL(/\/status/);
  assert.equal(send.clicks, 3);
  await page.getByText("Accepted. It is safe").waitFor();
  await page.locator(".runs").getByRole("link", { name: "Lockdown" }).waitFor();

  const stop = counter(page);
  await confirmed(stop, page.getByRole("button", { name: "Stop all" }), page.getByRole("button", { name: "Stop everything now" }));
  await page.getByText("Nothing is being sent.").waitFor();
  assert.equal(stop.clicks, 2);
});

test("a confirmation that does not come is taken back and nothing is sent", async () => {
  const page = await open(browser, server, { user: "sender" });
  const running = () => page.request.get("/api/v1/running").then(it => it.json()).then(it => it.length);
  const before = await running();
  await page.goto("/send");
  await page.getByRole("button", { name: /^All clear/ }).click();
  await page.getByRole("button", { name: /Send now: All clear/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^All clear/ }).waitFor();
  assert.equal(await running(), before);
});

test("who did not get the last one is two clicks away, the state of all servers none", async () => {
  const page = await open(browser, server, { user: "viewer" });
  await page.goto("/account");
  await page.locator(".pulse").getByText("pb-1: Driver CAP alerts differs").waitFor();
  const look = counter(page);
  await look.click(page.getByRole("link", { name: "Sent Notifications" }));
  await look.click(page.getByRole("link", { name: "Take shelter" }).first());
  await page.getByText("1 endpoint: no answer from 10.0.1.23").waitFor();
  assert.equal(look.clicks, 2);
});

test("the order of a priority group changes in four clicks, is spoken, and is saved by its button", async () => {
  const page = await open(browser, server);
  const change = counter(page);
  await change.click(page.getByRole("link", { name: "Priority Groups" }));
  await change.click(page.getByRole("link", { name: "Pool building" }));
  await change.click(page.getByRole("button", { name: "Up pa-1" }));
  assert.equal(await page.locator("[data-announce]").textContent(), "pa-1 is now 1 of 3");
  const before = await page.request.get("/api/v1/groups/pool").then(it => it.json());
  assert.ok(before.row.servers[0].endsWith("b1"), "moving saves nothing");
  await change.click(page.getByRole("button", { name: "Save order" }));
  await page.getByText("Saved.").waitFor();
  assert.equal(change.clicks, 4);
  const after = await page.request.get("/api/v1/groups/pool").then(it => it.json());
  assert.ok(after.row.servers[0].endsWith("a1"));
});

test("no bells tomorrow takes four clicks and a reason, and says before it is saved what it changes", async () => {
  const page = await open(browser, server, { user: "editor" });
  const silence = counter(page);
  await silence.click(page.getByRole("link", { name: "Schedules" }));
  await silence.click(page.getByRole("link", { name: "No bells tomorrow for School bells" }));
  await page.getByLabel("Reason").fill("Storm");
  await silence.click(page.getByRole("button", { name: "Save exception" }));
  await page.getByText("Wednesday 25 November 2026: 2 events to come become none.").waitFor();
  await silence.click(page.getByRole("button", { name: "Save", exact: true }));
  await page.getByText("Saved.").waitFor();
  assert.equal(silence.clicks, 4);
  const bells = await page.request.get("/api/v1/calendars/school").then(it => it.json());
  assert.deepEqual(bells.days.slice(0, 2).map(day => [day.events, day.reason]), [[6, null], [0, "Storm"]]);
});

test("a server is moved with the keyboard alone, and by dragging", async () => {
  const page = await open(browser, server);
  await page.goto("/groups/DEFAULT");
  const names = () => page.locator(".sortable li").evaluateAll(items => items.map(item => item.dataset.name));
  const first = await names();
  await page.getByRole("button", { name: `Down ${first[0]}` }).focus();
  await page.keyboard.press("Enter");
  assert.deepEqual(await names(), [first[1], first[0], first[2]]);
  await page.keyboard.press("Enter");
  assert.deepEqual(await names(), [first[1], first[2], first[0]], "the focus stays with the server");
  const focused = await page.evaluate(() => document.activeElement.textContent);
  assert.equal(focused, `Up ${first[0]}`, "at the end the focus goes to the button that still works");

  const grip = await page.locator(".sortable li").first().locator(".grip").boundingBox();
  const last = await page.locator(".sortable li").last().boundingBox();
  await page.mouse.move(grip.x + 4, grip.y + 4);
  await page.mouse.down();
  await page.mouse.move(grip.x + 4, last.y + last.height - 3, { steps: 8 });
  await page.mouse.up();
  assert.deepEqual(await names(), [first[2], first[0], first[1]]);
  assert.equal(await page.locator("[data-announce]").textContent(), `${first[1]} is now 3 of 3`);
});

test("a driver is set up and enabled in four clicks, and its mistakes are named first", async () => {
  const page = await open(browser, server);
  const enable = counter(page);
  await enable.click(page.getByRole("link", { name: "Drivers" }));
  await enable.click(page.getByRole("link", { name: "Set up and enable" }));
  await page.getByLabel(/^Port/).fill("70000");
  await enable.click(page.getByRole("button", { name: "Enable", exact: true }));
  const summary = page.getByRole("alert");
  await summary.getByRole("link", { name: "Port: must be 65535 or less" }).waitFor();
  assert.ok(await summary.evaluate(it => it === document.activeElement), "the summary has the focus");
  await summary.getByRole("link").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "f-settings-port");
  assert.equal(await page.getByLabel(/^Port/).getAttribute("aria-invalid"), "true");
  await page.getByLabel(/^Port/).fill("50001");
  await enable.click(page.getByRole("button", { name: "Enable", exact: true }));
  await page.getByText("Enabled. The driver starts on every server.").waitFor();
  assert.equal(enable.clicks, 4);
});

test("servers have tabs that arrows, Home and End move through, and the address keeps the tab", async () => {
  const page = await open(browser, server);
  await page.goto("/status");
  const tab = name => page.getByRole("tab", { name: new RegExp(`^${name}`) });
  await tab("pa-1").focus();
  await page.keyboard.press("End");
  assert.equal(await tab("pb-1").getAttribute("aria-selected"), "true");
  assert.ok(await page.getByText("In no priority group").or(page.getByText("Pool building: sends, place 1")).first().isVisible());
  await page.keyboard.press("ArrowRight");
  assert.equal(await tab("pa-1").getAttribute("aria-selected"), "true", "from the last to the first");
  await page.keyboard.press("ArrowLeft");
  await page.reload();
  assert.equal(await tab("pb-1").getAttribute("aria-selected"), "true");
  assert.equal(await page.getByRole("tabpanel").filter({ visible: true }).count(), 1);
});

test("without script: status, a form with mistakes, the order of a group, and sending", async () => {
  const page = await open(browser, server, { javaScriptEnabled: false });
  for (const name of ["pa-1", "pa-2", "pb-1"]) {
    assert.ok(await page.getByRole("heading", { name, exact: true }).isVisible(), `${name} stands on the page`);
  }
  await page.goto("/endpoints/new?driver=com.algo.speaker");
  await page.getByLabel("Name").fill("Cellar");
  await page.getByLabel("Address").fill("not a host");
  await page.getByRole("button", { name: "Save endpoint" }).click();
  await page.getByRole("link", { name: /^Address: must be a host name/ }).waitFor();
  await page.getByLabel("Address").fill("10.0.1.40");
  await page.getByRole("button", { name: "Save endpoint" }).click();
  await page.getByRole("link", { name: "Cellar" }).waitFor();

  await page.goto("/groups/DEFAULT");
  await page.getByRole("button", { name: "Up pb-1" }).click();
  const names = await page.locator(".sortable li").allTextContents();
  assert.ok(names[1].includes("pb-1"), names.join());

  await page.goto("/send");
  await page.getByRole("button", { name: /^End of day bell/ }).click();
  await page.getByRole("heading", { name: "Send End of day bell?" }).waitFor();
  await page.getByRole("button", { name: "Send End of day bell now" }).click();
  await page.getByText("Accepted. It is safe").waitFor();
});

test("a person of each role sees what the role allows", async () => {
  const page = await open(browser, server, { user: null });
  for (const [user, drivers, send] of [["viewer", 0, 0], ["sender", 0, 1], ["editor", 1, 1]]) {
    await signIn(page, user);
    assert.equal(await page.getByRole("link", { name: "Drivers", exact: true }).count(), drivers, user);
    assert.equal(await page.getByRole("link", { name: "Send", exact: true }).count(), send, user);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: /^Sign in to/ }).waitFor();
  }
});
