// The checks can fail: node selftest.mjs FILE breaks a good page in many ways, and each has to be found.
import path from "node:path";
import { readFileSync, writeFileSync } from "node:fs";
import { check, launch } from "./checks.mjs";

const good = readFileSync(process.argv[2], "utf8");
const replaced = (from, to) => {
  if (!good.includes(from)) throw new Error(`the page has no ${from}`);
  return good.replace(from, to);
};
const withoutPolicy = (html) => html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, "");
const cases = [
  ["a script from elsewhere", replaced("</main>", '</main><script src="https://example.org/x.js"></script>'), /log:|may fetch/],
  ["an inline handler", replaced("<h1>", '<h1 onclick="alert(1)">'), /attribute onclick/],
  ["an inline script", replaced("</main>", "</main><script>console.log(1)</script>"), /console:|log:/],
  ["a console message", withoutPolicy(replaced("</main>", "</main><script>console.log(1)</script>")), /console: 1/],
  ["a request", withoutPolicy(replaced("</main>", '</main><img alt="" src="x.png">')), /request: /],
  ["a wide element", replaced("<h1>", `<pre>${"x".repeat(400)}</pre><h1>`), /scrolls sideways/],
  ["low contrast", withoutPolicy(replaced("</style>", "p{color:#bbb!important;background:#fff!important}</style>")), /axe serious: color-contrast/],
  ["a wide element that is cut off", withoutPolicy(replaced("</style>", "body{overflow-x:hidden}h1{width:9000px}</style>")), /cut off/],
  ["a focus that is not seen", withoutPolicy(replaced(":focus-visible { outline: 3px", ":focus-visible { outline: 0px")), /no outline/],
  ["no filters", withoutPolicy(replaced("if (table.dataset.filters)", "if (false)")), /no filters/],
  ["no sorting", withoutPolicy(replaced("if (body.rows.length > 2)", "if (false)")), /no sorting/],
  ["texts that are not sorted", withoutPolicy(replaced("String(a).localeCompare(String(b))", "0")), /sorting by/],
  ["no picker", withoutPolicy(replaced("if (body.rows.length) {", "if (false) {")), /no picker/],
  ["a wrong command", withoutPolicy(replaced('["--table", nearest("data-table")]', '["--table", "x"]')), /command .* for/],
  ["a twofold id", replaced("<h1>", '<h1 id="main">'), /id twice: main/],
  ["a dead link", replaced('href="#goal"', 'href="#gaol"'), /no target: #gaol/],
  ["an empty number", replaced("</main>", '<data value=""></data></main>'), /empty number/],
  ["a number that is not printed", withoutPolicy(replaced("</style>", "@media print { article data { display: none; } }</style>")), /not printed/],
  ["a picture without a text", replaced("<h1>", '<div role="img"></div><h1>'), /axe serious: role-img-alt/],
  ["a broken script", withoutPolicy(replaced('document.querySelector(".theme").onclick =', "document.x.onclick =")), /page error|theme/],
];
const browser = await launch();
let failed = 0;
for (const [name, html, expected] of [["the good page", good, null], ...cases]) {
  const file = path.resolve("broken.html");
  writeFileSync(file, html);
  const findings = await check(browser, file, path.resolve("page.pdf"));
  const isRight = expected ? findings.some((finding) => expected.test(finding)) : findings.length === 0;
  console.log(`${isRight ? "ok" : "WRONG"}: ${name}: ${findings[0] ?? "no finding"}`);
  failed += isRight ? 0 : 1;
}
await browser.close();
process.exit(failed ? 1 : 0);
