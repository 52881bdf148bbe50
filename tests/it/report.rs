//! `report`: every number of a page is one of a published table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use campaign_etl::contracts::{Kind, datasets, tables};
use regex::Regex;
use tempfile::TempDir;

use crate::scene::{CONFIG, day, first_exports};
use crate::summary::Nights;
use crate::world::{Outcome, etl, parse_cents, read_table, show_cents};

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
}

/// The shop's published cells by table, key without the shop, and column.
fn cells(results: &Path, shop: &str, of_day: &str) -> BTreeMap<[String; 3], Option<String>> {
    let mut cells = BTreeMap::new();
    for table in tables::all() {
        let Some(rows) = read_table(results, table.name, day(of_day)) else {
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

/// Compares every number of a shop's page with its table; gives how many there are of each.
fn compare(page: &str, results: &Path, shop: &str, of_day: &str) -> BTreeMap<String, usize> {
    let cells = cells(results, shop, of_day);
    let mut compared = BTreeMap::new();
    for (at, shown) in numbers(page) {
        let published = cells
            .get(&at)
            .unwrap_or_else(|| panic!("{shop}: no cell {at:?}"));
        let kind = tables::table(&at[0]).unwrap().column(&at[2]).kind;
        let is_same = match kind {
            Kind::Double => {
                let [a, b] = [&shown, published]
                    .map(|text| text.as_ref().map(|t| t.parse::<f64>().unwrap()));
                a == b
            }
            _ => shown == *published,
        };
        assert!(is_same, "{shop} {at:?}: {shown:?}, published {published:?}");
        *compared.entry(at[0].clone()).or_default() += 1;
    }
    compared
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
    let of_cards = Regex::new(
        "data-table=\"([^\"]*)\" data-key=\"([^\"]*)\" data-column=\"([^\"]*)\">(<data value=\"[^\"]*\">|<span class=\"null\">)",
    );
    for found in of_cards.unwrap().captures_iter(html) {
        let at = [1, 2, 3].map(|group| found[group].to_owned());
        numbers.push((at, value(&found[4])));
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
                if cell.starts_with(" class=\"number\">") {
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
        let compared = compare(&page.stdout, results.0.path(), shop, DAY);
        let numbers: usize = compared.values().sum();
        assert!(numbers > 200, "{shop}: {numbers}");
        tables_shown.extend(compared.into_keys());
    }
    assert!(tables_shown.len() >= 12, "{tables_shown:?}");
}

#[test]
fn a_day_that_is_not_final_shows_the_results_that_stand_in() {
    let nights = Nights::new();
    nights.publish("2026-03-09", "2026-03-10");
    std::fs::remove_file(nights.path("exports/order_lines/dt=2026-03-11/_SUCCESS")).unwrap();
    let run = nights.etl("run --day 2026-03-11 --accept-fallback");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = nights.etl("report --shop 1000021 --day 2026-03-11");
    assert_eq!(page.code, 0, "{}", page.stderr);
    let page = page.stdout;
    let lead = "The numbers of 2026-03-11 are not there yet: results of 2026-03-10 stand in.";
    assert!(page.contains(lead), "{page}");
    let compared = compare(&page, &nights.path("results"), "1000021", "2026-03-11");
    // Own numbers of 21 metrics, on the day and in the period, and those of comparable shops.
    assert!(compared["shop_benchmark"] >= 42, "{compared:?}");
    assert_eq!(
        compared
            .keys()
            .filter(|table| !table.ends_with("benchmark") && *table != "gmv_gap")
            .count(),
        0,
        "{compared:?}"
    );
    // Said once for all cards: core data and marketing, on the day and in the period.
    assert_eq!(
        page.matches("</span> results of 2026-03-10</span>").count(),
        4
    );
    assert!(page.contains("Not available: its exports are not final, or are blocked."));
    let single = nights.etl("report --shop 77 --day 2026-03-11");
    assert_eq!(single.code, 78, "{}", single.stderr);
}

#[test]
fn a_blocked_day_shows_what_was_published_before_and_says_so() {
    let nights = Nights::new();
    nights.publish("2026-03-09", "2026-03-10");
    std::fs::write(nights.path("exports/shops/dt=2026-03-10/x"), "no Parquet").unwrap();
    let run = nights.etl("run --day 2026-03-10");
    assert_eq!(run.code, 65, "{}", run.stderr);
    let page = nights.etl("report --shop 1000008 --day 2026-03-10").stdout;
    let lead = "The exports of 2026-03-10 are blocked now. These are the numbers that were published before.";
    assert!(page.contains(lead), "{page}");
    let compared = compare(&page, &nights.path("results"), "1000008", "2026-03-10");
    assert!(compared["shop_daily"] >= 21, "{compared:?}");
}

#[test]
fn sums_over_accounts_are_those_of_the_rows_of_content() {
    let results = Results::new();
    let page = results
        .etl(&format!("report --shop 1000008 --day {DAY}"))
        .stdout;
    let sums = Regex::new(
        "data-table=\"(content_[a-z]*)\" data-where=\"([^\"]*)\" data-column=\"([^\"]*)\"><data value=\"([^\"]*)\">",
    )
    .unwrap();
    let mut found = 0;
    for sum in sums.captures_iter(&page) {
        let table = tables::table(&sum[1]).unwrap();
        let at = |name: &str| table.columns.iter().position(|c| c.name == name).unwrap();
        let mut rows = read_table(results.0.path(), table.name, day(DAY)).unwrap();
        let shop = [("shop_id", "1000008")];
        let wanted = sum[2].split(';').map(|part| part.split_once('=').unwrap());
        for (name, value) in wanted.chain(shop) {
            rows.retain(|row| row[at(name)].as_deref() == Some(value));
        }
        let cells = |name| rows.iter().filter_map(move |row| row[at(name)].as_deref());
        let expected = match &sum[3] {
            "#rows" => rows.len().to_string(),
            "gmv" => show_cents(cells("gmv").map(parse_cents).sum()),
            name => {
                let numbers = cells(name).map(|cell| cell.parse::<i64>().unwrap());
                numbers.sum::<i64>().to_string()
            }
        };
        assert_eq!(sum[4], expected, "{}", &sum[0]);
        found += 1;
    }
    // Videos of three kinds of accounts, in the period also LIVEs of one; four numbers each.
    assert_eq!(found, 28);
}

#[test]
fn all_pages_of_a_day_are_those_of_the_single_shops_and_are_in_the_index() {
    let results = Results::new();
    let folder = results.0.path().join("pages");
    let out = folder.to_str().unwrap();
    let written = results.etl(&format!("report --all --day {DAY} --out {out}"));
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert!(
        written.stdout.starts_with(&format!("{out}: 49 shops, ")),
        "{}",
        written.stdout
    );
    let index = std::fs::read_to_string(folder.join("index.html")).unwrap();
    let periods = read_table(results.0.path(), "shop_period", day(DAY)).unwrap();
    let shop_id = tables::SHOP_PERIOD
        .columns
        .iter()
        .position(|c| c.name == "shop_id")
        .unwrap();
    let shops: BTreeSet<String> = periods
        .iter()
        .filter_map(|row| row[shop_id].clone())
        .collect();
    assert_eq!(shops.len(), 49);
    for shop in &shops {
        let link = format!("<a href=\"{shop}.html\">{shop}</a>");
        assert_eq!(index.matches(&link).count(), 1, "{shop}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), shops.len() + 1);
    for shop in ["1000001", "1000008", "1000042"] {
        let page = std::fs::read_to_string(folder.join(format!("{shop}.html"))).unwrap();
        let back = "<div><dt>Other shops</dt><dd><a href=\"index.html\">All shops of the day</a></dd></div>\n";
        let single = results
            .etl(&format!("report --shop {shop} --day {DAY}"))
            .stdout;
        assert!(page.contains(back));
        assert_eq!(page.replace(back, ""), single, "{shop}");
    }
    let again = results.etl(&format!("report --all --day {DAY} --out {out}"));
    assert_eq!(
        (again.code, again.stderr.contains("pages exists")),
        (78, true),
        "{}",
        again.stderr
    );
}

#[test]
fn a_folder_of_pages_is_whole_or_not_there() {
    let results = Results::new();
    let spoilt = results
        .0
        .path()
        .join("product_period/dt=2026-03-12/part-0.parquet");
    let mut bytes = std::fs::read(&spoilt).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&spoilt, bytes).unwrap();
    let parent = results.0.path().join("parent");
    std::fs::create_dir(&parent).unwrap();
    let out = parent.join("pages");
    let written = results.etl(&format!("report --all --day {DAY} --out {}", out.display()));
    assert_ne!(written.code, 0);
    assert!(
        written.stderr.contains("product_period"),
        "{}",
        written.stderr
    );
    assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 0);
}

#[test]
fn a_signal_leaves_no_half_written_folder() {
    let results = Results::new();
    let parent = results.0.path().join("parent");
    std::fs::create_dir(&parent).unwrap();
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
    for wait in [20, 60, 120, 200] {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        run.args(["report", "--all", "--day", DAY, "--threads", "1", "--out"])
            .arg(parent.join("pages"))
            .arg("--exports")
            .arg(&exports)
            .arg("--results")
            .arg(results.0.path());
        let mut run = run.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let pid = run.id().to_string();
        let asked = std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status();
        let ended = run.wait().unwrap();
        let left: Vec<String> = std::fs::read_dir(&parent)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        match ended.success() {
            true => {
                assert_eq!(left, ["pages"]);
                std::fs::remove_dir_all(parent.join("pages")).unwrap();
            }
            false => assert_eq!(left, [""; 0], "{asked:?} {ended}"),
        }
    }
}

#[test]
fn names_that_look_like_markup_are_text_on_every_page() {
    const NAMES: [&str; 3] = [
        "</script><img src=x onerror=alert(1)>",
        "\"><svg onload=alert(1)>",
        "' onmouseover='alert(1)",
    ];
    let folder = TempDir::new().unwrap();
    let mut world = first_exports();
    let at = |dataset: &str, column: &str| {
        let contract = datasets::dataset(dataset).unwrap();
        contract
            .columns
            .iter()
            .position(|c| c.name == column)
            .unwrap()
    };
    for ((dataset, _), rows) in &mut world.exports {
        for (of, column, name) in [
            ("contents", "title", NAMES[0]),
            ("contents", "creator_handle", NAMES[1]),
            ("campaigns", "campaign_name", NAMES[0]),
            ("shops", "category", NAMES[2]),
            ("shops", "shop_name", NAMES[0]),
            ("order_lines", "channel", NAMES[1]),
        ] {
            if of == dataset {
                rows.iter_mut()
                    .for_each(|row| row[at(of, column)] = Some(name.to_owned()));
            }
        }
    }
    world.write(&folder.path().join("exports"), 1);
    let [job, exports, results, pages] = ["job.toml", "exports", "results", "pages"]
        .map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let text = format!(
        "exports = {exports:?}\nresults = {results:?}\ntime_zone = \"America/Los_Angeles\"\ncurrency = \"USD\"\n{CONFIG}"
    );
    std::fs::write(&job, text).unwrap();
    let etl = |command: &str| {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(["--config", &job]);
        let outcome = etl(&words);
        assert_eq!(outcome.code, 0, "{command}: {}", outcome.stderr);
        outcome.stdout
    };
    etl("backfill --from 2026-03-09 --to 2026-03-10");
    etl(&format!("report --all --day 2026-03-10 --out {pages}"));
    let page = |name: &str| std::fs::read_to_string(Path::new(&pages).join(name)).unwrap();
    let pages = [
        page("5.html"),
        page("index.html"),
        etl("report --summary --day 2026-03-10"),
    ];
    for (page, seen) in pages
        .iter()
        .zip([[true; 3], [true, false, true], [false; 3]])
    {
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(
            page.matches("<img").count() + page.matches("<svg onload").count(),
            0
        );
        let text = |name: &str| {
            name.replace('<', "&#60;")
                .replace('>', "&#62;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;")
        };
        for (name, seen) in NAMES.iter().zip(seen) {
            assert!(!page.contains(name), "{name}");
            assert_eq!(page.contains(&text(name)), seen, "{name}");
        }
    }
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
