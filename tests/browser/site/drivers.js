// An administrator's way from an unsigned driver file to a driver that runs, and what is said of a file that was changed after
// it was pinned: on a real server, whose address, driver folder and driver file the environment names.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "../server.js";

const { ONEALERT_SITE: url, ONEALERT_FOLDER: folder, ONEALERT_DRIVER: library, ONEALERT_PASSWORD: password } = process.env;
// Where pictures go, if a person wants to look.
const pictures = process.env.ONEALERT_PICTURES;
const name = basename(library);
let browser, page;

const checksum = bytes => createHash("sha256").update(bytes).digest("hex");

/** Puts a file into the driver folder as a careful tool does: under another name first. */
async function put(bytes) {
  const unfinished = join(folder, `.${name}.tmp`);
  await writeFile(unfinished, bytes);
  await rename(unfinished, join(folder, name));
}

/** Loads the page Drivers again until it shows this. */
async function shows(locator, within = 60_000) {
  const until = Date.now() + within;
  for (;;) {
    await page.goto("/drivers");
    if (await locator().count()) return;
    assert.ok(Date.now() < until, `Drivers does not show it: ${await page.locator("main").innerText()}`);
    await page.waitForTimeout(200);
  }
}

const row = () => page.getByRole("region", { name: "Files in the driver folder" }).getByRole("row", { name });
const running = () => page.getByRole("region", { name: /on each server/ }).getByText(/^Runs/);

/** Nothing of this page is wider than the window, large or small; and its pictures. */
async function look(what) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${what} is ${wide} pixels wide where there are ${width}`);
      if (pictures) await page.screenshot({ path: join(pictures, `${what}-${colorScheme}-${width}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
}

before(async () => {
  browser = await launch();
  page = await open(browser, { url }, { user: null });
  await page.goto("/login");
  await page.getByLabel("User name").fill("admin");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/\/status/);
});
after(() => browser?.close());

test("an unsigned driver is pinned, set up and enabled, and runs; changed afterwards it is refused in words", async () => {
  const bytes = await readFile(library);
  await page.goto("/drivers");
  await page.getByText("No driver was found.").waitFor();
  await look("nothing");
  await copyFile(library, join(folder, `.${name}.tmp`));
  await rename(join(folder, `.${name}.tmp`), join(folder, name));

  await shows(() => row().getByText("It runs only once an administrator pins it"));
  await page.getByText("1 driver file waits for an administrator").waitFor();
  assert.equal(await page.getByRole("link", { name: "Set up and enable" }).count(), 0, "none of its code has run");
  await look("waits");
  await page.getByRole("button", { name: `Pin this file: ${name}` }).click();
  await page.getByRole("heading", { name: `Pin ${name}?` }).waitFor();
  await page.getByText(checksum(bytes)).waitFor();
  await look("question");
  await page.getByRole("button", { name: "Pin this file" }).click();
  await page.getByText("Pinned. The driver can be set up").waitFor();

  await shows(() => page.getByRole("link", { name: "Set up and enable" }));
  await page.getByText("this very file was pinned by admin").first().waitFor();
  await look("pinned");
  await page.getByRole("link", { name: "Set up and enable" }).click();
  await page.getByRole("button", { name: "Enable", exact: true }).click();
  await page.getByText("Enabled. The driver starts on every server.").waitFor();
  await shows(running);
  await look("runs");

  // Behind the section table nobody reads: as a driver it is like the other.
  const changed = Buffer.concat([bytes, Buffer.from("changed")]);
  await put(changed);
  await shows(() => row().getByText("Refused: not the file that was pinned"));
  const said = await row().innerText();
  const [expected, found] = [bytes, changed].map(it => checksum(it).slice(0, 12));
  assert.ok(said.includes(`expected SHA-256 ${expected}, found ${found}`), said);
  assert.equal(await page.getByRole("button", { name: `Pin this file: ${name}` }).count(), 0, "a click does not make it right");
  assert.equal(await running().count(), 1, "the file that was pinned runs on");
  await look("changed");

  // Trust on which a running driver rests is not taken away by the way.
  await page.getByRole("button", { name: /^Take back: the pin of/ }).click();
  await page.getByRole("button", { name: "Take the pin back" }).click();
  await page.getByText(/is enabled and rests on it: disable it first/).waitFor();
  await put(bytes);
  await shows(() => row().getByText("Can be used."));
});

test("a key is trusted for ids, its mistakes are named beside the field, and it is forgotten after a question", async () => {
  await page.goto("/drivers");
  await page.getByRole("link", { name: "Trust a key" }).click();
  await page.getByLabel("Whose it is").fill("Makers");
  await page.getByLabel("Public key").fill("no key");
  await page.getByLabel("Drivers that it may sign").fill("com.algo.*");
  await page.getByRole("button", { name: "Trust this key" }).click();
  await page.getByRole("alert").getByRole("link", { name: /^Public key: is not a minisign public key/ }).waitFor();
  assert.equal(await page.getByLabel("Whose it is").inputValue(), "Makers", "what was right is kept");
  await look("key");
  await page.getByLabel("Public key").fill(process.env.ONEALERT_KEY);
  await page.getByRole("button", { name: "Trust this key" }).click();
  const key = page.getByRole("region", { name: "Trusted keys" }).getByRole("row", { name: "Makers" });
  await key.getByText("com.algo.*").waitFor();
  await look("keys");
  await page.getByRole("button", { name: "Trust no longer: the key of Makers" }).click();
  await page.getByRole("heading", { name: "Trust the key of Makers no longer?" }).waitFor();
  await page.getByRole("button", { name: "Trust it no longer" }).click();
  await page.getByText("No key is trusted").waitFor();
});
