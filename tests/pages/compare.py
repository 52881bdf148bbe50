"""Compares every number of pages with the published files: compare.py RESULTS FILE...

docs/report.md says how a page names the origin of a number. The files are read with pyarrow.
"""

import json
import re
import sys
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RESULTS = Path(sys.argv[1])
FEWEST_OF_A_SHOP = 40
VOID = {"meta", "br", "input", "link", "img", "hr"}


class Page(HTMLParser):
    """The numbers of a page, each with its origin."""

    def __init__(self, text):
        super().__init__()
        self.open, self.numbers, self.main = [], [], {}
        self.heads, self.cell, self.value = [], -1, None
        self.bare = []
        self.feed(text)

    def nearest(self, *names):
        """The nearest attribute with one of these names, and its name."""
        for _, attributes in reversed(self.open):
            for name in names:
                if name in attributes:
                    return name, attributes[name] or ""
        return None, None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "main":
            self.main = attributes
        if tag == "thead":
            self.heads = []
        if tag == "th":
            self.heads.append(attributes.get("data-column"))
        if tag == "tr":
            self.cell = -1
        if tag == "td":
            self.cell += 1
        if tag not in VOID:
            self.open.append((tag, attributes))
        is_null = tag == "span" and attributes.get("class") == "null"
        if tag == "data" or is_null:
            self.begin(attributes.get("value") if tag == "data" else None)

    def begin(self, value):
        column = self.nearest("data-column")[1]
        tags = [tag for tag, _ in self.open]
        if column is None and "td" in tags:
            column = self.heads[self.cell] if self.cell < len(self.heads) else None
        where, picked = self.nearest("data-key", "data-where")
        self.value = {
            "value": value,
            "text": "",
            "table": self.nearest("data-table")[1],
            "column": column,
            "where": where,
            "picked": picked or "",
            "day": self.nearest("data-day")[1],
            "is_definition": "dl" in tags and "article" not in tags and "table" not in tags,
        }
        self.numbers.append(self.value)

    def handle_endtag(self, tag):
        if tag in ("data", "span"):
            self.value = None
        for at in range(len(self.open) - 1, -1, -1):
            if self.open[at][0] == tag:
                del self.open[at:]
                break

    def handle_data(self, text):
        if self.value is not None:
            self.value["text"] += text
        elif re.search("[0-9]", text) and any((tag, a.get("class")) in (("td", "number"), ("p", "value")) for tag, a in self.open):
            self.bare.append(text)


class Tables:
    """Published files as lists of rows; read once."""

    def __init__(self):
        self.read = {}

    def rows(self, table, day):
        if (table, day) not in self.read:
            path = RESULTS / table / f"dt={day}" / "part-0.parquet"
            self.read[table, day] = (pq.read_schema(path), pq.read_table(path).to_pylist())
        return self.read[table, day]

    def manifest(self, day):
        newest = max((RESULTS / "_runs" / f"dt={day}").iterdir())
        return json.loads(newest.read_text())


TABLES = Tables()
# Every metric that has a benchmark on any day.
METRICS = {
    metric
    for path in RESULTS.glob("category_benchmark/dt=*/part-0.parquet")
    for metric in pq.read_table(path, columns=["metric"]).column("metric").unique().to_pylist()
}


def shown(value):
    """A cell of a key as the page writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "tzinfo"):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def picked_rows(number, day, shop):
    _, rows = TABLES.rows(number["table"], day)
    # A value of a key may itself hold a semicolon, so a part without a known name belongs to the one before.
    wanted, names = [], rows[0].keys() if rows else []
    for part in number["picked"].split(";"):
        name, _, value = part.partition("=")
        if name in names:
            wanted.append([name, value])
        elif wanted:
            wanted[-1][1] += ";" + part
    if shop and "shop_id" in names:
        wanted.append(["shop_id", shop])
    return [row for row in rows if all(shown(row[name]) == value for name, value in wanted)]


def expected(number, day, shop):
    """The value of the published files."""
    if number["table"] == "_runs":
        value = TABLES.manifest(day)
        for name in number["column"].split("/"):
            if isinstance(value, list):
                value = next(entry for entry in value if name in (entry.get("dataset"), entry.get("stage")))
            else:
                value = value[name]
        return value
    rows = picked_rows(number, day, shop)
    if number["where"] == "data-where":
        if number["column"] == "#rows":
            return len(rows)
        return sum(row[number["column"]] or 0 for row in rows)
    assert len(rows) == 1, f"{len(rows)} rows"
    return rows[0][number["column"]]


def unit_of(number, day):
    """The unit in the metadata of the file; of a benchmark, that of its metric."""
    table, column = number["table"], number["column"]
    if table.startswith("_") or column == "#rows":
        return ""
    if column in ("value", "benchmark"):
        column = re.search(r"metric=([a-z_]+)", number["picked"]).group(1)
        table = "shop_daily"
        if not (RESULTS / table / f"dt={day}").exists():
            day = max(p.name for p in (RESULTS / table).iterdir())[3:]
    schema, _ = TABLES.rows(table, day)
    columns = json.loads(schema.metadata[b"campaign_etl.columns"])
    if isinstance(columns, list):
        columns = {entry["name"]: entry for entry in columns}
    return columns[column].get("unit", "")


def check_text(number, unit, currency):
    """The text is the value, rounded to the decimals that it shows, in its unit."""
    text = number["text"].replace("\u2212", "-")
    code = re.match(r"([A-Z]{3})\u00a0", text)
    assert not code or (code[1] == currency and unit.startswith("money")), f"{text!r} in {unit}, {currency}"
    assert text.endswith("\u00a0%") == unit.startswith(("fraction", "percent")), f"{text!r} in {unit}"
    digits = re.sub(r"^[A-Z]{3}\u00a0|[,+]|\u00a0%$", "", text)
    value = Decimal(number["value"])
    if unit.startswith("fraction"):
        value *= 100
    decimals = len(digits.partition(".")[2])
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    # A half may be rounded either way by doubles.
    assert abs(Decimal(digits) - value) <= Decimal("0.5000001").scaleb(-decimals), f"{text!r} for {value}"
    if rounded == value:
        assert Decimal(digits) == value, f"{text!r} for {value}"


def is_same(value, published):
    if value is None or published is None:
        return value is None and published is None
    if isinstance(published, float):
        return float(value) == published
    return Decimal(value) == Decimal(published)


def not_shown(page, shop, day):
    """Daily metrics of the shop, and comparisons of its day, that the page leaves out."""
    seen = {(n["table"], n["picked"], n["column"]) for n in page.numbers}
    missing = []
    for table in ("shop_daily", "shop_benchmark"):
        if not (RESULTS / table / f"dt={day}").exists():
            continue
        for row in TABLES.rows(table, day)[1]:
            if str(row["shop_id"]) != shop or row.get("scope", "DAILY") != "DAILY":
                continue
            if table == "shop_daily":
                metrics = {n["column"] for n in page.numbers if n["table"] == table}
                missing += [f"no {name} of {table}" for name in METRICS - metrics]
            elif row["benchmark"] is not None:
                key = f"scope=DAILY;campaign_id={row['campaign_id']};metric={row['metric']}"
                columns = [name for name in ("benchmark", "difference_pct") if (table, key, name) not in seen]
                missing += [f"no {name} of {row['metric']}" for name in columns]
    return missing


def compare(file):
    page = Page(Path(file).read_text())
    shop, page_day = page.main.get("data-shop"), page.main["data-day"]
    found, wrong = Counter(), []
    for number in page.numbers:
        if number["is_definition"] or (number["value"] is None and number["column"] is None):
            continue  # the meaning of null in a definition, or a null text
        day = number["day"] or page_day
        try:
            assert number["table"] and number["column"], "no origin"
            published = expected(number, day, shop)
            assert is_same(number["value"], published), f"published is {published}"
            if number["value"] is not None:
                check_text(number, unit_of(number, day), TABLES.manifest(day)["currency"])
            else:
                assert number["text"] == "not available", number["text"]
        except Exception as why:  # every number is told, whatever is wrong with it
            wrong.append(f"{number}: {type(why).__name__} {why}")
        found[number["table"]] += 1
    if shop:
        wrong += [f"a number without its value and origin: {text}" for text in page.bare]
        wrong += not_shown(page, shop, page_day)
    if shop and sum(found.values()) < FEWEST_OF_A_SHOP:
        wrong.append(f"only {sum(found.values())} numbers")
    print(f"{Path(file).name}: {sum(found.values())} numbers of {len(found)} tables, {len(wrong)} wrong")
    for text in wrong[:10]:
        print(f"  {text}")
    return sum(found.values()), len(wrong)


totals = [compare(file) for file in sys.argv[2:]]
numbers, wrong = (sum(column) for column in zip(*totals))
print(f"{len(totals)} pages, {numbers} numbers, {wrong} wrong")
sys.exit(1 if wrong or not numbers else 0)
