// Checks of one page in a browser. Each gives a list of findings; none: the page is fine.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// The packages stand in the working folder, not beside this file.
const require = createRequire(path.join(process.cwd(), "package.json"));
const puppeteer = require("puppeteer-core").default ?? require("puppeteer-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const WIDTHS = [320, 768, 1280];
const MOST_BYTES = 1_000_000;
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const launch = () => puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

// Opens a page, and notes everything that a quiet page does not do.
async function open(browser, file, { width, scheme = "light", scripts = true }) {
  const page = await browser.newPage();
  const findings = [];
  const url = pathToFileURL(file).href;
  page.on("console", (message) => findings.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => findings.push(`page error: ${error.message}`));
  page.on("request", (request) => { if (request.url().split("#")[0] !== url) findings.push(`request: ${request.url()}`); });
  page.on("dialog", async (dialog) => { findings.push(`dialog: ${dialog.message()}`); await dialog.dismiss(); });
  const session = await page.createCDPSession();
  await session.send("Log.enable");
  session.on("Log.entryAdded", ({ entry }) => findings.push(`log: ${entry.text}`));
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url, { waitUntil: "load" });
  return { page, findings };
}

// The page itself does not scroll sideways; its tables may.
const sideways = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const isOverfull = (part) => part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1;
  const isWide = (part) => (part.getBoundingClientRect().right > clientWidth + 1 || isOverfull(part)) && !part.closest(".table, .chart");
  const wide = [...document.querySelectorAll("body *")].filter(isWide).slice(0, 3);
  return [`scrolls sideways, ${scrollWidth} > ${clientWidth}: ${wide.map((part) => part.outerHTML.slice(0, 80)).join(" | ")}`];
});

// Nothing is cut off: what is wider than its place scrolls there.
const clipped = (page) => page.evaluate(() => {
  const isClipped = (part) => ["hidden", "clip"].includes(getComputedStyle(part).overflowX) && part.scrollWidth > part.clientWidth + 1;
  const parts = [document.documentElement, ...document.querySelectorAll("body, body *:not(svg, svg *)")];
  return parts.filter(isClipped).slice(0, 3).map((part) => `cut off: ${part.outerHTML.slice(0, 80)}`);
});

// The keyboard: the place where it stands can be seen.
async function focusIsSeen(page) {
  const findings = new Set();
  for (let stop = 0; stop < 30; stop += 1) {
    await page.keyboard.press("Tab");
    const unseen = await page.evaluate(() => {
      const part = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(part);
      const isSeen = part === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) > 0);
      return isSeen ? null : part.outerHTML.slice(0, 80);
    });
    if (unseen) findings.add(`no outline with focus: ${unseen}`);
  }
  return [...findings].slice(0, 3);
}

async function accessible(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate((tags) => axe.run({ runOnly: tags, resultTypes: ["violations"] }), AXE_TAGS);
  const told = ({ impact, id, nodes }) => `axe ${impact}: ${id} at ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`;
  return found.violations.filter(({ impact }) => impact !== "minor").map(told);
}

// What the file itself promises, in any browser.
const structure = (page) => page.evaluate(() => {
  const findings = [];
  const ids = [...document.querySelectorAll("[id]")].map((part) => part.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) findings.push(`id twice: ${id}`);
  for (const part of document.querySelectorAll("body *")) {
    for (const { name } of part.attributes) if (name === "style" || name.startsWith("on")) findings.push(`attribute ${name} at ${part.outerHTML.slice(0, 80)}`);
  }
  const fetching = document.querySelectorAll("img, link, iframe, object, embed, base, [src], use");
  for (const part of fetching) findings.push(`may fetch: ${part.outerHTML.slice(0, 80)}`);
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    if (!document.getElementById(link.getAttribute("href").slice(1))) findings.push(`no target: ${link.getAttribute("href")}`);
  }
  for (const data of document.querySelectorAll("data")) if (!data.value || !data.textContent.trim()) findings.push(`empty number: ${data.outerHTML}`);
  return findings;
});

const shown = (page, selector) => page.$$eval(selector, (parts) => parts.filter((part) => part.checkVisibility()).length);

// Every control does what its name says.
async function controls(page) {
  const findings = [];
  findings.push(...await page.evaluate(() => {
    const findings = [];
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const isSeen = (part) => part.checkVisibility();
    // A control that the script forgot would pass every check of its work.
    for (const table of all("table")) {
      const name = table.caption.textContent;
      const rows = table.tBodies[0].rows.length;
      const count = (selector, root) => all(selector, root ?? undefined).length;
      if (rows > 2 && count(".sort", table) !== count("thead th", table)) findings.push(`no sorting of ${name}`);
      const { filters, picker } = table.dataset;
      const before = table.parentElement.previousElementSibling;
      if (filters && (!before.matches(".filters") || count("button", before) !== filters.split(";").length + 1)) findings.push(`no filters of ${name}`);
      const section = table.closest("section");
      if (picker && rows && count(".picker option", section) !== rows) findings.push(`no picker of ${name}`);
      if ("search" in table.dataset && count("input[type=search]", section) !== 1) findings.push(`no search of ${name}`);
    }
    for (const button of all("[data-show]")) {
      button.click();
      for (const section of all("section[data-view]")) {
        if (isSeen(section) !== (section.dataset.view === button.dataset.show)) findings.push(`view ${button.dataset.show}: ${section.id}`);
      }
      if (button.getAttribute("aria-pressed") !== "true") findings.push(`view ${button.dataset.show} is not pressed`);
    }
    const paper = () => getComputedStyle(document.documentElement).backgroundColor;
    const before = paper();
    document.querySelector(".theme").click();
    if (paper() === before) findings.push("the theme does not change");
    document.querySelector(".theme").click();
    const number = (cell) => { const data = cell.querySelector("data"); return data ? Number(data.value) : NaN; };
    for (const table of all("table")) {
      const name = table.caption.textContent;
      const rows = () => [...table.tBodies[0].rows];
      for (const filter of all(".filters button", table.parentElement.previousElementSibling?.parentElement ?? document)) {
        if (table.parentElement.previousElementSibling !== filter.parentElement) continue;
        filter.click();
        const tag = (table.dataset.filters.split(";").map((one) => one.split("=")).find(([, word]) => word === filter.textContent) ?? [""])[0];
        for (const row of rows()) {
          if (row.hidden !== (tag !== "" && !(row.dataset.tags ?? "").split(" ").includes(tag))) findings.push(`filter ${filter.textContent} of ${name}`);
        }
      }
      const heads = all("thead th", table);
      for (const [at, head] of heads.entries()) {
        const button = head.querySelector("button");
        const cells = () => rows().map((row) => row.cells[at]);
        if (button && !head.classList.contains("number") && cells().every((cell) => cell && !cell.querySelector("data, .null"))) {
          for (const sign of [1, -1]) {
            button.click();
            const texts = cells().map((cell) => cell.textContent.trim());
            if (texts.some((text, at) => at > 0 && sign * text.localeCompare(texts[at - 1]) < 0)) findings.push(`sorting by ${head.textContent} of ${name}`);
          }
        }
        if (!button || !head.classList.contains("number") || !rows().every((row) => row.cells[at]?.querySelector("data, .null"))) continue;
        for (const sign of [-1, 1]) {
          button.click();
          const values = rows().map((row) => number(row.cells[at]));
          const known = values.filter((value) => !Number.isNaN(value));
          const isSorted = known.every((value, at) => at === 0 || sign * (value - known[at - 1]) >= 0);
          const nullsAreLast = values.slice(0, known.length).every((value) => !Number.isNaN(value));
          if (!isSorted || !nullsAreLast) findings.push(`sorting by ${head.textContent} of ${name}`);
        }
      }
    }
    for (const list of all(".picker select")) {
      const table = list.closest(".picker").parentElement.querySelector("table[data-picker]");
      for (const option of [...list.options].filter((_, at) => at % 7 === 0)) {
        list.value = option.value;
        list.dispatchEvent(new Event("change"));
        const row = [...table.tBodies[0].rows].find((row) => row.cells[0].textContent.trim() === option.textContent);
        for (const cell of [...row.cells].slice(1)) {
          if (!list.closest(".picker").textContent.includes(cell.textContent.trim())) findings.push(`picker of ${option.textContent}: ${cell.textContent}`);
        }
      }
    }
    for (const field of all("input[type=search]")) {
      const rows = [...field.closest("section").querySelector("table").tBodies[0].rows];
      for (const cell of [...rows[rows.length >> 1].cells].slice(0, 2)) {
        const wanted = cell.textContent.trim();
        field.value = wanted.toUpperCase();
        field.dispatchEvent(new Event("input"));
        const has = (row) => row.textContent.toLowerCase().includes(wanted.toLowerCase());
        if (rows.some((row) => row.hidden === has(row))) findings.push(`search for ${wanted}`);
      }
      field.value = "";
      field.dispatchEvent(new Event("input"));
      if (rows.some((row) => row.hidden)) findings.push("an empty search hides rows");
    }
    // One number of each table.
    const told = document.querySelector(".told");
    const tables = new Set(all("main[data-shop] [data-table][data-key]").map((part) => part.dataset.table));
    for (const table of tables) {
      const number = document.querySelector(`[data-table="${table}"][data-key] data`);
      if (!number) continue;
      const { dataset } = number.closest("[data-table]");
      const main = document.querySelector("main").dataset;
      number.click();
      const words = ["campaign-etl explain", `--shop ${main.shop}`, `--day ${main.day}`, `--table ${table}`, dataset.column];
      if (told.hidden || !words.every((word) => told.textContent.includes(word))) findings.push(`command ${told.textContent} for ${number.outerHTML}`);
    }
    const sum = document.querySelector("[data-where] data");
    sum?.click();
    if (sum && !told.hidden) findings.push(`a command for the sum ${sum.outerHTML}`);
    return findings;
  }));
  const hidden = await page.$$eval("[data-show]", (buttons) => { buttons[0]?.click(); return buttons[1]?.dataset.show; });
  if (hidden) {
    const target = await page.$eval(`section[data-view="${hidden}"]`, (section) => section.id);
    await page.evaluate((id) => { location.hash = id; }, target);
    await page.waitForFunction((id) => document.getElementById(id).checkVisibility(), { timeout: 2000 }, target)
      .catch(() => findings.push(`a link to #${target} does not show it`));
  }
  return findings;
}

// Without scripts, all is there, and no control that does nothing.
async function withoutScripts(page) {
  const findings = [];
  const [sections, seen] = [await page.$$eval("section", (parts) => parts.length), await shown(page, "section")];
  if (seen !== sections) findings.push(`${seen} of ${sections} sections without scripts`);
  if (await shown(page, "button, select, input") > 0) findings.push("a control that does nothing without scripts");
  for (const summary of await page.$$("summary")) {
    const isOpen = () => summary.evaluate((part) => part.parentElement.open);
    const before = await isOpen();
    await summary.click();
    if (await isOpen() === before) findings.push("a list of numbers cannot be opened without scripts");
  }
  return findings;
}

// On paper, every number is printed.
async function printed(page, pdf) {
  const numbers = await page.$$eval("data", (parts) => parts.map((part) => part.textContent));
  await page.pdf({ path: pdf, format: "A4", printBackground: true });
  const squeezed = (text) => text.replace(/[\s\u00a0]/g, "");
  const paper = squeezed(execFileSync("pdftotext", ["-layout", pdf, "-"], { maxBuffer: 1 << 28 }).toString());
  const missing = numbers.filter((number) => !paper.includes(squeezed(number)));
  // A number that is there twice on the page is there twice on paper: all views are open.
  const count = (text, part) => text.split(part).length - 1;
  const long = [...new Set(numbers)].filter((number) => squeezed(number).length >= 6);
  const rare = long.filter((number) => count(paper, squeezed(number)) < numbers.filter((other) => other === number).length);
  return [...missing, ...rare].slice(0, 3).map((number) => `not printed: ${number}`);
}

// All findings about a page. `pdf`: where its print goes.
export async function check(browser, file, pdf) {
  const findings = new Set();
  const visit = async (how, work) => {
    const { page, findings: heard } = await open(browser, file, how);
    const found = await work(page).catch((error) => [`failed: ${error.message}`]);
    const where = `${how.width} px${how.scheme === "dark" ? " dark" : ""}${how.scripts === false ? " without scripts" : ""}`;
    for (const finding of [...heard, ...found]) findings.add(`${where}: ${finding}`);
    await page.close();
  };
  const bytes = readFileSync(file).length;
  if (bytes > MOST_BYTES && path.basename(file) !== "index.html") findings.add(`${bytes} bytes`);
  for (const width of WIDTHS) {
    for (const scheme of ["light", "dark"]) {
      await visit({ width, scheme }, async (page) => [...await sideways(page), ...await clipped(page), ...await accessible(page), ...await structure(page)]);
    }
    await visit({ width }, async (page) => {
      const found = await controls(page);
      // The last view of the switch, and the other theme.
      await page.$$eval("[data-show]", (buttons) => buttons.at(-1)?.click());
      await page.click(".theme");
      return [...found, ...await sideways(page), ...await accessible(page)];
    });
    await visit({ width, scripts: false }, async (page) => [...await sideways(page), ...await withoutScripts(page), ...await structure(page)]);
  }
  await visit({ width: 1280 }, focusIsSeen);
  await visit({ width: 1280 }, (page) => printed(page, pdf));
  await visit({ width: 1280, scripts: false }, (page) => printed(page, pdf));
  return [...findings];
}

