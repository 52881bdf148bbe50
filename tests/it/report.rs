//! `report`: every number of a page is one of a published table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use campaign_etl::contracts::{Kind, tables};
use regex::Regex;
use tempfile::TempDir;

use crate::scene::day;
use crate::world::{Outcome, etl, read_table};

const DAY: &str = "2026-03-12";

/// Three days of the sample, published.
struct Results(TempDir);

impl Results {
    fn new() -> Results {
        let results = Results(TempDir::new().unwrap());
        let run = results.etl("backfill --from 2026-03-10 --to 2026-03-12");
        assert_eq!(run.code, 0, "{}", run.stderr);
        results
    }

    fn etl(&self, command: &str) -> Outcome {
        let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(["--exports", exports.to_str().unwrap()]);
        words.extend(["--results", self.0.path().to_str().unwrap()]);
        etl(&words)
    }

    /// The shop's published cells by table, key without the shop, and column.
    fn cells(&self, shop: &str) -> BTreeMap<[String; 3], Option<String>> {
        let mut cells = BTreeMap::new();
        for table in tables::all() {
            let Some(rows) = read_table(self.0.path(), table.name, day(DAY)) else {
                continue;
            };
            for row in rows {
                let named: BTreeMap<&str, &Option<String>> =
                    table.columns.iter().map(|c| c.name).zip(&row).collect();
                if named
                    .get("shop_id")
                    .is_some_and(|id| id.as_deref() != Some(shop))
                {
                    continue;
                }
                let key = table.key.iter().filter(|name| **name != "shop_id");
                let key: Vec<String> = key
                    .map(|name| format!("{name}={}", named[name].as_deref().unwrap_or("")))
                    .collect();
                for column in table.columns {
                    let at = [table.name, &key.join(";"), column.name].map(str::to_owned);
                    cells.insert(at, named[column.name].clone());
                }
            }
        }
        cells
    }
}

/// The numbers of a page: table, key and column, with the value; `None`: null.
fn numbers(html: &str) -> Vec<([String; 3], Option<String>)> {
    let attribute = |text: &str, name: &str| {
        let found = Regex::new(&format!("{name}=\"([^\"]*)\"")).unwrap();
        let found = found.captures(text).map(|found| found[1].to_owned());
        found.unwrap_or_default()
    };
    let value = |text: &str| {
        let found = Regex::new("<data value=\"([^\"]*)\">").unwrap();
        found.captures(text).map(|found| found[1].to_owned())
    };
    let mut numbers = Vec::new();
    for card in html.split("<article ").skip(1) {
        let card = card.split("</article>").next().unwrap();
        let of_card = [attribute(card, "data-table"), attribute(card, "data-key")];
        let own = card
            .split("class=\"value\"")
            .nth(1)
            .unwrap()
            .split("</p>")
            .next()
            .unwrap();
        let [table, key] = of_card;
        numbers.push(([table, key, attribute(own, "data-column")], value(own)));
        for other in card.split("<dd ").skip(1) {
            let other = other.split("</dd>").next().unwrap();
            let at = ["data-table", "data-key", "data-column"].map(|name| attribute(other, name));
            numbers.push((at, value(other)));
        }
    }
    for table in html.split("<table ").skip(1) {
        let table = table.split("</table>").next().unwrap();
        let name = attribute(table.split('>').next().unwrap(), "data-table");
        let heads = table.split("<th ").skip(1);
        let columns: Vec<String> = heads
            .map(|head| attribute(head.split('>').next().unwrap(), "data-column"))
            .collect();
        for row in table.split("<tr data-key").skip(1) {
            let row = format!("data-key{}", row.split("</tr>").next().unwrap());
            let key = attribute(&row, "data-key");
            for (column, cell) in columns.iter().zip(row.split("<td").skip(1)) {
                if cell.starts_with(" class=\"number\"") {
                    let at = [name.clone(), key.clone(), column.clone()];
                    numbers.push((at, value(cell)));
                }
            }
        }
    }
    numbers
}

#[test]
fn every_number_of_a_page_is_that_of_its_table() {
    let results = Results::new();
    let mut tables_shown = BTreeSet::new();
    for shop in ["1000008", "1000021", "1000042"] {
        let page = results.etl(&format!("report --shop {shop} --day {DAY}"));
        assert_eq!(page.code, 0, "{}", page.stderr);
        let cells = results.cells(shop);
        let found = numbers(&page.stdout);
        assert!(found.len() > 200, "{shop}: {}", found.len());
        for (at, shown) in found {
            let published = cells
                .get(&at)
                .unwrap_or_else(|| panic!("{shop}: no cell {at:?}"));
            let table = tables::all().find(|table| table.name == at[0]).unwrap();
            let kind = table.columns.iter().find(|c| c.name == at[2]).unwrap().kind;
            let is_same = match kind {
                Kind::Double => {
                    let [a, b] = [&shown, published]
                        .map(|text| text.as_ref().map(|t| t.parse::<f64>().unwrap()));
                    a == b
                }
                _ => shown == *published,
            };
            assert!(is_same, "{shop} {at:?}: {shown:?}, published {published:?}");
            tables_shown.insert(at[0].clone());
        }
    }
    assert!(tables_shown.len() >= 12, "{tables_shown:?}");
}

#[test]
fn a_page_is_one_file_without_anything_from_elsewhere() {
    let results = Results::new();
    let file = results.0.path().join("page.html");
    let out = file.to_str().unwrap();
    let written = results.etl(&format!("report --shop 1000008 --day {DAY} --out {out}"));
    assert_eq!(
        (written.code, written.stdout.trim()),
        (0, out),
        "{}",
        written.stderr
    );
    let html = std::fs::read_to_string(&file).unwrap();
    let fetches = Regex::new(
        "(?i)<(?:link|img|iframe|object|embed|base)|\\ssrc=|url\\(|@import|\\son[a-z]+=|\\sstyle=",
    )
    .unwrap();
    assert_eq!(fetches.find(&html).map(|found| found.as_str()), None);
    assert!(html.contains("default-src "), "no policy");
    assert!(html.len() < 300_000, "{} bytes", html.len());
}

#[test]
fn a_page_about_nothing_published_is_refused_with_its_reason() {
    let results = Results::new();
    for (question, code, said) in [
        (
            "--shop 77 --day 2026-03-12",
            78,
            "shop 77 has no published row on 2026-03-12",
        ),
        (
            "--shop 1000008 --day 2026-03-12 --campaign 5",
            78,
            "shop 1000008 is not in campaign 5",
        ),
        (
            "--shop 1000008 --day 2026-01-01",
            78,
            "of 2026-01-01 is not published",
        ),
        (
            "--shop 1000008 --day 2026-03-12 --out /no/such/folder/x.html",
            74,
            "cannot write",
        ),
    ] {
        let outcome = results.etl(&format!("report {question}"));
        let found = (outcome.code, outcome.stderr.contains(said));
        assert_eq!(found, (code, true), "{question}: {}", outcome.stderr);
    }
}
