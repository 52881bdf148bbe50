//! `catalog`: one DuckDB view for each result table and quarantine, with its types and comments.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::columns::says;
use crate::contracts::datasets::DATASETS;
use crate::contracts::field_ids::QUARANTINE_FILES;
use crate::contracts::quarantine::{self, QUARANTINE};
use crate::contracts::{Column, Kind, PART_FILE, tables};

/// The views over the results.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Catalog {
    /// The results, as other programs find them.
    pub location: String,
    /// The commit whose files the views read; `None`: the files that are published when a view is read.
    pub as_of: Option<u64>,
    pub views: Vec<View>,
    /// The statements that make the views.
    pub sql: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct View {
    pub name: String,
    /// Patterns or paths of the files that it reads; empty: it has no rows.
    pub files: Vec<String>,
    #[serde(skip)]
    grain: String,
    #[serde(skip)]
    columns: &'static [Column],
}

/// The views over the published files. `has_files`: whether a folder of the results has any. DuckDB
/// refuses a pattern without a file.
pub(crate) fn of_published(location: String, has_files: impl Fn(&str) -> bool) -> Catalog {
    let base = as_pattern(&location);
    let files = |folder: &str| match has_files(folder) {
        true => vec![format!("{base}/{folder}/dt=*/{PART_FILE}")],
        false => vec![],
    };
    let mut views: Vec<View> = tables::all()
        .map(|table| View {
            name: table.name.to_owned(),
            files: files(table.name),
            grain: table.grain.to_owned(),
            columns: table.columns,
        })
        .collect();
    views.extend(DATASETS.into_iter().map(|dataset| View {
        name: name_of_quarantine(dataset.name),
        files: files(&format!("_{QUARANTINE_FILES}/{}", dataset.name)),
        grain: format!("{}: of {}", quarantine::GRAIN, dataset.name),
        columns: &QUARANTINE,
    }));
    Catalog::new(location, None, views)
}

/// The views over the files of one commit, by table. Quarantined rows are not kept, so they have no
/// view.
pub(crate) fn of_commit(
    location: String,
    commit: u64,
    mut files: BTreeMap<&'static str, Vec<String>>,
) -> Catalog {
    let base = as_pattern(&location);
    let views = tables::all().map(|table| View {
        name: table.name.to_owned(),
        files: files
            .remove(table.name)
            .unwrap_or_default()
            .iter()
            .map(|path| format!("{base}/{path}"))
            .collect(),
        grain: table.grain.to_owned(),
        columns: table.columns,
    });
    Catalog::new(location, Some(commit), views.collect())
}

fn name_of_quarantine(dataset: &str) -> String {
    format!("{QUARANTINE_FILES}_{dataset}")
}

impl Catalog {
    fn new(location: String, as_of: Option<u64>, views: Vec<View>) -> Catalog {
        let mut sql = match as_of {
            None => format!(
                "-- The published results in {location}, for DuckDB.\n\
                 -- A table without a day has an empty view: print this again after its first run.\n"
            ),
            Some(commit) => format!(
                "-- The results in {location} as readers saw them after commit {commit}, for DuckDB.\n\
                 -- A later run may replace one of these files: print this again after a run.\n"
            ),
        };
        if as_of.is_some() {
            sql += "\n-- Quarantined rows of earlier commits are not kept.\n";
            for dataset in DATASETS {
                let view = quoted(&name_of_quarantine(dataset.name));
                let _ = writeln!(sql, "DROP VIEW IF EXISTS {view};");
            }
        }
        views.iter().for_each(|view| sql += &view.sql());
        Catalog {
            location,
            as_of,
            views,
            sql,
        }
    }
}

impl View {
    /// A view whose types hold for files of every version: a column that a file has not is null.
    fn sql(&self) -> String {
        let view = quoted(&self.name);
        let columns = || {
            self.columns
                .iter()
                .map(|c| (quoted(c.name), sql_type(c.kind)))
        };
        let day = || [(quoted("dt"), sql_type(Kind::Date))].into_iter();
        let selected: Vec<String> = day()
            .chain(columns())
            .map(|(name, kind)| format!("    CAST({name} AS {kind}) AS {name}"))
            .collect();
        let empty: Vec<String> = day()
            .chain(columns())
            .map(|(name, kind)| format!("NULL::{kind} AS {name}"))
            .collect();
        let read = match self.files.as_slice() {
            [] => String::new(),
            files => format!(
                "    UNION ALL BY NAME\n    SELECT * FROM read_parquet({}, hive_partitioning = true, \
                 hive_types = {{'dt': DATE}}, union_by_name = true)\n",
                listed(files)
            ),
        };
        let mut sql = format!(
            "\nCREATE OR REPLACE VIEW {view} AS\nSELECT\n{}\nFROM (\n    SELECT {} WHERE false\n{read});\n",
            selected.join(",\n"),
            empty.join(", "),
        );
        let _ = writeln!(sql, "COMMENT ON VIEW {view} IS {};", literal(&self.grain));
        let _ = writeln!(
            sql,
            "COMMENT ON COLUMN {view}.\"dt\" IS 'the day of the partition';"
        );
        for column in self.columns {
            let (name, text) = (quoted(column.name), literal(&says(column)));
            let _ = writeln!(sql, "COMMENT ON COLUMN {view}.{name} IS {text};");
        }
        sql
    }
}

/// The type in DuckDB.
fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int64 => "BIGINT",
        Kind::Int32 => "INTEGER",
        Kind::Money => "DECIMAL(18,2)",
        Kind::Double => "DOUBLE",
        Kind::Text => "VARCHAR",
        Kind::Boolean => "BOOLEAN",
        Kind::Date => "DATE",
        Kind::Instant => "TIMESTAMPTZ",
    }
}

/// A list of paths as an argument of `read_parquet`.
fn listed(files: &[String]) -> String {
    match files {
        [one] => literal(one),
        many => {
            let many: Vec<String> = many.iter().map(|file| literal(file)).collect();
            format!("[\n        {}\n    ]", many.join(",\n        "))
        }
    }
}

/// A path in which no character is taken for a part of a pattern.
fn as_pattern(path: &str) -> String {
    let escaped = path.chars().map(|character| match character {
        '*' | '?' | '[' => format!("[{character}]"),
        other => other.to_string(),
    });
    escaped.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'a>(catalog: &'a Catalog, name: &str) -> &'a View {
        catalog.views.iter().find(|view| view.name == name).unwrap()
    }

    #[test]
    fn a_view_reads_all_days_of_its_table_and_an_empty_one_reads_nothing() {
        let catalog = of_published("s3://bucket/x".into(), |folder| folder == "sku_daily");
        let files = &view(&catalog, "sku_daily").files;
        assert_eq!(*files, ["s3://bucket/x/sku_daily/dt=*/part-0.parquet"]);
        assert_eq!(view(&catalog, "shop_daily").files, [""; 0]);
        assert_eq!(view(&catalog, "quarantine_shops").files, [""; 0]);
        // 19 tables, and the quarantines of 10 exports.
        assert_eq!(catalog.views.len(), 29);
    }

    #[test]
    fn the_statements_of_a_view_are_these() {
        let catalog = of_published("/data/o'hara [1]".into(), |folder| folder == "sku_daily");
        let sql = view(&catalog, "sku_daily").sql();
        let expected = "
CREATE OR REPLACE VIEW \"sku_daily\" AS
SELECT
    CAST(\"dt\" AS DATE) AS \"dt\",
    CAST(\"shop_id\" AS BIGINT) AS \"shop_id\",
    CAST(\"product_id\" AS BIGINT) AS \"product_id\",
    CAST(\"sku_id\" AS BIGINT) AS \"sku_id\",
    CAST(\"items_sold\" AS BIGINT) AS \"items_sold\",
    CAST(\"gmv\" AS DECIMAL(18,2)) AS \"gmv\"
FROM (
    SELECT NULL::DATE AS \"dt\", NULL::BIGINT AS \"shop_id\", NULL::BIGINT AS \"product_id\", \
            NULL::BIGINT AS \"sku_id\", NULL::BIGINT AS \"items_sold\", NULL::DECIMAL(18,2) AS \"gmv\" WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet('/data/o''hara [[]1]/sku_daily/dt=*/part-0.parquet', hive_partitioning = true, \
            hive_types = {'dt': DATE}, union_by_name = true)
);
COMMENT ON VIEW \"sku_daily\" IS 'each SKU sold';
COMMENT ON COLUMN \"sku_daily\".\"dt\" IS 'the day of the partition';
COMMENT ON COLUMN \"sku_daily\".\"shop_id\" IS 'never null';
COMMENT ON COLUMN \"sku_daily\".\"product_id\" IS 'never null';
COMMENT ON COLUMN \"sku_daily\".\"sku_id\" IS 'never null';
COMMENT ON COLUMN \"sku_daily\".\"items_sold\" IS 'items; sum of quantity; never null';
COMMENT ON COLUMN \"sku_daily\".\"gmv\" IS 'money; sum of sub_total + shipping_fee; cancelled and refunded orders stay in; never null';
";
        assert_eq!(sql, expected);
    }

    #[test]
    fn the_files_of_a_commit_are_named_one_by_one() {
        let kept = "_history/sku_daily/dt=2026-03-13/0000000008.parquet".to_owned();
        let published = "sku_daily/dt=2026-03-14/part-0.parquet".to_owned();
        let files = BTreeMap::from([("sku_daily", vec![kept.clone(), published.clone()])]);
        let catalog = of_commit("/results".into(), 7, files);
        let named = [format!("/results/{kept}"), format!("/results/{published}")];
        assert_eq!(view(&catalog, "sku_daily").files, named);
        assert_eq!(catalog.views.len(), 19, "no quarantine");
    }
}
