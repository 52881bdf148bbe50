// Draws the pictures of the README: node pictures.mjs SHOP_PAGE NIGHT_PAGE FOLDER
import path from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "./checks.mjs";

const [shop, night, folder] = process.argv.slice(2);
const browser = await launch();
for (const [file, name, width, height] of [
  [shop, "shop-desktop", 1280, 1560],
  [shop, "shop-phone", 390, 1560],
  [night, "night-desktop", 1280, 1560],
  [night, "night-phone", 390, 1560],
]) {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await page.goto(pathToFileURL(path.resolve(file)).href);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
  await page.close();
}
await browser.close();
