"use strict";
// Without this script all is there; it adds the choice of a view, filters, sorting, search, a picker, the theme, and the
// command that explains a number.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, text, properties = {}) => Object.assign(document.createElement(name), { textContent: text }, properties);
  const tools = document.querySelector(".tools");
  tools.hidden = false;

  // The theme: that of the system until somebody chooses.
  const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.querySelector(".theme").onclick = () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; };

  // Views: one at a time on the screen; all of them on paper.
  const buttons = all("[data-show]");
  const show = (view) => {
    for (const part of all("[data-view]")) part.classList.toggle("other-view", part.dataset.view !== view);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === view));
  };
  for (const button of buttons) button.onclick = () => show(button.dataset.show);
  if (buttons.length) show(buttons[0].dataset.show);
  // A link to a section of the other view shows that view.
  addEventListener("hashchange", () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const part = target && target.closest("[data-view].other-view");
    if (part) { show(part.dataset.view); target.scrollIntoView(); }
  });

  const valueOf = (cell) => {
    const data = cell && cell.querySelector("data");
    return data ? Number(data.value) : cell && cell.querySelector(".null") ? NaN : cell ? cell.textContent.trim() : "";
  };
  // Nulls and missing numbers come last in both orders.
  const compare = (a, b) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return { missing: Number.isNaN(a) - Number.isNaN(b) };
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  };

  for (const table of all("table")) {
    const body = table.tBodies[0];
    // Sorting by a column: descending first for numbers.
    if (body.rows.length > 2) all("thead th", table).forEach((head, at) => {
      const button = make("button", head.textContent, { type: "button", className: "sort" });
      head.replaceChildren(button);
      button.onclick = () => {
        const first = head.classList.contains("number") ? "descending" : "ascending";
        const order = head.ariaSort === first ? (first === "ascending" ? "descending" : "ascending") : first;
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = [...body.rows].map((row) => [valueOf(row.cells[at]), row]);
        rows.sort(([a], [b]) => { const found = compare(a, b); return typeof found === "object" ? found.missing : sign * found; });
        body.append(...rows.map(([, row]) => row));
      };
    });

    // Filters by the tags of rows.
    if (table.dataset.filters) {
      const group = make("div", "", { className: "filters" });
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Rows");
      const filters = [["", "All"], ...table.dataset.filters.split(";").map((filter) => filter.split("="))];
      for (const [tag, word] of filters) {
        const button = make("button", word, { type: "button" });
        button.setAttribute("aria-pressed", String(!tag));
        button.onclick = () => {
          for (const row of body.rows) row.hidden = tag !== "" && !(row.dataset.tags || "").split(" ").includes(tag);
          for (const other of all("button", group)) other.setAttribute("aria-pressed", String(other === button));
        };
        group.append(button);
      }
      table.parentElement.before(group);
    }

    // A search through the rows of an index.
    if ("search" in table.dataset) {
      const field = make("input", "", { type: "search" });
      const label = make("label", "Search ", { className: "search" });
      label.append(field);
      field.oninput = () => {
        const text = field.value.trim().toLowerCase();
        for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(text);
      };
      table.parentElement.before(label);
    }

    // A picker: one row of the table beside its heads.
    if (table.dataset.picker) {
      const label = make("label", table.dataset.picker + " ");
      const list = make("select", "");
      const answer = make("output", "");
      [...body.rows].forEach((row, at) => list.append(make("option", row.cells[0].textContent.trim(), { value: at })));
      const heads = all("thead th", table).map((head) => head.textContent);
      list.onchange = () => {
        const cells = [...body.rows].find((row) => row.cells[0].textContent.trim() === list.selectedOptions[0].textContent).cells;
        answer.textContent = [...cells].slice(1).map((cell, at) => heads[at + 1] + ": " + cell.textContent.trim()).join(" · ");
      };
      if (body.rows.length) {
        label.append(list);
        const line = make("p", "", { className: "picker" });
        line.append(label, " ", answer);
        (table.closest("figure") || table.parentElement).before(line);
        list.onchange();
      }
    }
  }

  // A click on a number shows the command that explains it.
  const main = document.querySelector("main");
  const told = make("output", "", { className: "told", hidden: true });
  document.body.append(told);
  const plain = (word) => (/^[\w.:\/-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'");
  const flag = (name) => "--" + name.replace(/_id$|_start$/, "").replaceAll("_", "-");
  if (main.dataset.shop) main.addEventListener("click", (event) => {
    const number = event.target.closest("data");
    told.hidden = !number;
    if (!number) return;
    const cell = number.closest("td");
    const nearest = (name) => (number.closest(`[${name}]`) || document.body).getAttribute(name);
    const head = cell && number.closest("table").tHead.rows[0].cells[cell.cellIndex];
    const column = nearest("data-column") || (head && head.dataset.column);
    const key = (nearest("data-key") || "").split(";").filter(Boolean).map((part) => part.split(/=(.*)/s));
    const metric = key.find(([name]) => name === "metric");
    told.hidden = nearest("data-where") !== null || !column;
    const words = [["--shop", main.dataset.shop], ["--day", main.dataset.day], ["--table", nearest("data-table")]];
    words.push(...(metric ? [["--metric", metric[1]], ["--column", column]] : [["--metric", column]]));
    words.push(...key.filter(([name]) => name !== "metric").map(([name, value]) => [flag(name), value]));
    told.replaceChildren(make("code", "campaign-etl explain " + words.map(([name, value]) => name + " " + plain(value)).join(" ")));
  });

  // All is open on paper.
  addEventListener("beforeprint", () => { for (const part of all("details")) part.open = true; });
})();
