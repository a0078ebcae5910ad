// A picture of every page, wide and narrow, light and dark, into output/, for a person to look at.

import { mkdir } from "node:fs/promises";
import { PAGES, launch, open, start } from "./server.js";

await mkdir("output", { recursive: true });
const browser = await launch();
const kinds = [["primary", [], "light", 1280], ["primary", [], "light", 390], ["primary", [], "dark", 1280], ["secondary", ["--secondary"], "light", 1280]];
const only = process.argv.slice(2);
for (const [name, args, colorScheme, width] of kinds) {
  const server = await start(...args);
  const page = await open(browser, server, { width, height: width > 600 ? 860 : 844, colorScheme });
  const first = await page.evaluate(() => document.querySelector(".attention a, main") && null);
  const detail = await page.request.get("/api/v1/sent?limit=2").then(it => it.json()).then(it => `/sent/${it.rows[1].activation}`);
  for (const path of [...PAGES, detail, "/login"]) {
    const word = (path === detail ? "sent-detail" : path.slice(1).replace(/[^a-z0-9]+/gi, "-"));
    if (only.length && !only.includes(word)) continue;
    await page.goto(path);
    await page.waitForTimeout(path === "/status" ? 1200 : 150);
    await page.screenshot({ path: `output/${word}-${name}-${colorScheme}-${width}.png`, fullPage: true });
  }
  await server.stop();
}
await browser.close();
