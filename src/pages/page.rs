//! A page as data: sections of cards, tables and figures.

use std::borrow::Cow;
use std::sync::LazyLock;

use anyhow::Result;
use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::shown::Shown;

const STYLE: &str = include_str!("templates/page.css");
const SCRIPT: &str = include_str!("templates/page.js");

/// Forbids everything but the style and the script of this program.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// A page.
pub(crate) struct Page {
    pub title: String,
    /// The kind of page, above the title.
    pub kind: &'static str,
    /// The main fact of the page; `None`: it has several.
    pub lead: Option<Mark>,
    /// The shop of the numbers; `None`: of no single shop.
    pub shop_id: Option<i64>,
    pub day: NaiveDate,
    /// Whether the page lies beside an index of all shops.
    pub is_indexed: bool,
    /// Facts about the page, such as the day and the commit.
    pub facts: Vec<(&'static str, String)>,
    pub sections: Vec<Section>,
}

/// A part of a page with a heading.
pub(crate) struct Section {
    /// The anchor.
    pub id: &'static str,
    pub title: String,
    /// A section of one of several views; with scripts, a person chooses between them.
    pub view: Option<&'static str>,
    pub blocks: Vec<Block>,
}

pub(crate) enum Block {
    Heading(String),
    Text(String),
    Marks(Vec<Mark>),
    Progress(Progress),
    Cards(Vec<Card>),
    Table(Table),
    Figure(Figure),
    Definitions(Vec<Definition>),
    /// Commands to paste, each with its purpose.
    Commands(Vec<(String, String)>),
}

/// A state: shape and word beside the colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub tone: Tone,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Plain,
}

impl Mark {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Mark {
        Mark {
            tone,
            text: text.into(),
        }
    }

    fn class(&self) -> &'static str {
        match self.tone {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Warning => "warning",
            Tone::Plain => "plain",
        }
    }

    fn shape(&self) -> &'static str {
        match self.tone {
            Tone::Good => "●",
            Tone::Bad => "✕",
            Tone::Warning => "▲",
            Tone::Plain => "○",
        }
    }
}

/// The part of a goal that is reached.
pub(crate) struct Progress {
    pub caption: String,
    /// Between 0 and 1; 1 also where more is reached.
    pub fraction: f64,
}

/// The rows of a number: one row, or the rows that are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// `name=value` of the key's columns but the shop, separated by `;`.
    Key(String),
    /// `name=value` of columns, separated by `;`. The number is the sum of its column over these rows;
    /// of the column `#rows`, their count.
    Where(String),
}

impl Default for Picked {
    fn default() -> Picked {
        Picked::Key(String::new())
    }
}

impl Picked {
    fn attribute(&self) -> &'static str {
        match self {
            Picked::Key(_) => "data-key",
            Picked::Where(_) => "data-where",
        }
    }

    fn text(&self) -> &str {
        match self {
            Picked::Key(text) | Picked::Where(text) => text,
        }
    }

    fn is_none(&self) -> bool {
        *self == Picked::default()
    }
}

/// One number, with those beside it.
pub(crate) struct Card {
    pub title: String,
    /// The anchor of its definition.
    pub definition: Option<&'static str>,
    /// Where the numbers come from.
    pub from: Origin,
    pub value: Shown,
    /// Names, columns and values of numbers beside it.
    pub others: Vec<(&'static str, Origin, Shown)>,
    pub marks: Vec<Mark>,
}

/// The table, rows and column of a number on a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// A published table, `_quarantine/<dataset>`, or `_runs`: the manifest of the day.
    pub table: Cow<'static, str>,
    pub rows: Picked,
    /// Of a manifest, a path: `datasets/order_lines/rows_read`.
    pub column: Cow<'static, str>,
}

impl Origin {
    /// A value of the day's manifest.
    pub(crate) fn manifest(path: impl Into<Cow<'static, str>>) -> Origin {
        Origin {
            table: "_runs".into(),
            rows: Picked::default(),
            column: path.into(),
        }
    }
}

/// A table of a page.
#[derive(Default)]
pub(crate) struct Table {
    pub caption: String,
    /// The published table; `""`: the numbers come from several.
    pub from: &'static str,
    pub columns: Vec<Head>,
    pub rows: Vec<Row>,
    /// Names of tags with the word of their filter.
    pub filters: Vec<(&'static str, &'static str)>,
    /// Notes below: rows that are left out, the meaning of null.
    pub notes: Vec<String>,
    /// The name of a list of rows to choose one from; `""`: there is none.
    pub picker: &'static str,
    /// Whether rows can be searched.
    pub is_searched: bool,
}

pub(crate) struct Head {
    pub title: String,
    /// The column of the published table; `""`: of none.
    pub column: &'static str,
    pub is_number: bool,
}

#[derive(Default)]
pub(crate) struct Row {
    pub rows: Picked,
    /// The day of the numbers; `None`: that of the page.
    pub day: Option<NaiveDate>,
    /// Filters that keep the row, separated by spaces.
    pub tags: String,
    pub cells: Vec<Cell>,
}

pub(crate) enum Cell {
    /// A number of the table, row and column in which it stands.
    Value(Shown),
    /// A number of elsewhere.
    Of(Origin, Shown),
    Text(String),
    /// Null of a column of texts.
    Null,
    /// A number that stands in no table, such as that of a commit.
    Number(String),
    Marks(Vec<Mark>),
    Link {
        file: String,
        text: String,
    },
    /// Commands to paste, each with what has to be done before; `""`: nothing.
    Commands(Vec<(String, String)>),
}

/// A chart with its main fact and its numbers.
pub(crate) struct Figure {
    /// The main fact.
    pub caption: String,
    /// A description for readers who do not see the chart.
    pub label: String,
    pub svg: String,
    pub numbers: Table,
}

/// The definition of a metric.
pub(crate) struct Definition {
    /// The anchor; `""`: none.
    pub id: &'static str,
    pub name: String,
    pub unit: &'static str,
    pub formula: &'static str,
    pub null: &'static str,
    /// The commands that explain the number.
    pub commands: Vec<String>,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Html<'a> {
    page: &'a Page,
    views: Vec<&'static str>,
    style: &'static str,
    script: &'static str,
    policy: &'a str,
}

impl Page {
    /// The page as HTML.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub(crate) fn html(&self) -> Result<String> {
        let mut views: Vec<&'static str> = Vec::new();
        for view in self.sections.iter().filter_map(|section| section.view) {
            if !views.contains(&view) {
                views.push(view);
            }
        }
        let html = Html {
            page: self,
            views,
            style: STYLE,
            script: SCRIPT,
            policy: &POLICY,
        };
        Ok(html.render()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str) -> Page {
        Page {
            title: title.to_owned(),
            kind: "A page",
            lead: None,
            shop_id: None,
            day: "2026-03-14".parse().unwrap(),
            is_indexed: false,
            facts: vec![("Shop", title.to_owned())],
            sections: vec![Section {
                id: "one",
                title: title.to_owned(),
                view: None,
                blocks: vec![Block::Table(Table {
                    caption: title.to_owned(),
                    columns: vec![],
                    rows: vec![Row {
                        rows: Picked::Key(title.to_owned()),
                        cells: vec![Cell::Text(title.to_owned())],
                        ..Row::default()
                    }],
                    ..Table::default()
                })],
            }],
        }
    }

    #[test]
    fn names_of_exports_stay_text() {
        let hostile = "</script><img src=x onerror=\"alert(1)\">'";
        let html = page(hostile).html().unwrap();
        assert!(!html.contains("<img"), "{html}");
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(html.matches("&#60;img").count() >= 5, "{html}");
    }

    #[test]
    fn a_page_has_one_style_and_one_script_and_no_inline_handlers() {
        let html = page("x").html().unwrap();
        let counts = ["<style>", "<script>", " style=", " onclick=", "://"]
            .map(|text| html.matches(text).count());
        assert_eq!(counts, [1, 1, 0, 0, 0], "{html}");
        assert!(html.contains("default-src &#39;none&#39;") || html.contains("default-src 'none'"));
        assert!(SCRIPT.len() < 10_000);
    }
}
