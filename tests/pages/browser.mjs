// Checks pages in headless Chromium: node browser.mjs FILE...
import path from "node:path";
import { statSync } from "node:fs";
import { check, launch } from "./checks.mjs";

const browser = await launch();
let failed = 0;
for (const file of process.argv.slice(2)) {
  const findings = await check(browser, path.resolve(file), path.resolve("page.pdf"));
  console.log(`${path.basename(file)}: ${statSync(file).size} bytes, ${findings.length} findings`);
  for (const finding of findings) console.log(`  ${finding}`);
  failed += findings.length;
}
await browser.close();
process.exit(failed ? 1 : 0);
