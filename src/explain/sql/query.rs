//! A query as named steps (CTEs); only the steps, joins and columns that the answer needs are printed.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::contracts::Kind;

/// Lines up to this length are not broken.
const LINE: usize = 110;

/// One SELECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Select {
    /// Name and expression.
    pub columns: Vec<(String, String)>,
    /// The FROM clause, without the word FROM.
    pub from: String,
    /// Joins, each with its alias. One is printed where a printed expression names the alias.
    pub joins: Vec<(String, String)>,
    /// WHERE, GROUP BY and the rest, one clause a line.
    pub rest: Vec<String>,
}

impl Select {
    pub(super) fn new(columns: &[(&str, &str)], from: &str) -> Select {
        Select {
            columns: owned(columns),
            from: from.to_owned(),
            ..Select::default()
        }
    }

    pub(super) fn column(mut self, name: &str, expression: impl Into<String>) -> Select {
        self.columns.push((name.to_owned(), expression.into()));
        self
    }

    pub(super) fn join(mut self, alias: &str, text: impl Into<String>) -> Select {
        self.joins.push((alias.to_owned(), text.into()));
        self
    }

    pub(super) fn rest(mut self, clause: impl Into<String>) -> Select {
        self.rest.push(clause.into());
        self
    }

    /// Without the columns that are not in `wanted`, and without the joins that nothing names.
    fn pruned(mut self, wanted: Option<&BTreeSet<String>>) -> Select {
        if let Some(wanted) = wanted {
            let first = self.columns.first().cloned();
            self.columns
                .retain(|(name, _)| name == "*" || wanted.contains(name));
            if self.columns.is_empty() {
                self.columns.extend(first);
            }
        }
        let mut named = BTreeSet::new();
        let expressions = self.columns.iter().map(|(_, expression)| expression);
        let texts = expressions.chain(&self.rest);
        texts.for_each(|text| named.extend(words(text)));
        // A join may name one before it.
        let mut joins = Vec::new();
        for (alias, text) in self.joins.into_iter().rev() {
            if named.contains(&alias) {
                named.extend(words(&text));
                joins.push((alias, text));
            }
        }
        joins.reverse();
        Select { joins, ..self }
    }

    fn words(&self) -> BTreeSet<String> {
        let expressions = self.columns.iter().map(|(_, expression)| expression);
        let joins = self.joins.iter().map(|(_, text)| text);
        let texts = expressions.chain([&self.from]).chain(joins);
        texts
            .chain(&self.rest)
            .flat_map(|text| words(text))
            .collect()
    }

    fn print(&self, indent: &str) -> String {
        let columns = self.columns.iter().map(|(name, expression)| {
            let last = expression
                .rsplit_once('.')
                .map(|(alias, last)| (words(alias).len(), last));
            let is_qualified = last == Some((1, name)) && words(expression).len() <= 2;
            match name == expression || is_qualified {
                true => expression.clone(),
                false => format!("{expression} AS {name}"),
            }
        });
        let columns: Vec<String> = columns.collect();
        let on_one_line = format!("SELECT {}", columns.join(", "));
        let is_short = on_one_line.len() + indent.len() <= LINE && !on_one_line.contains('\n');
        let mut text = match is_short {
            true => on_one_line,
            false => {
                let columns: Vec<String> = columns.iter().map(|c| indented(c, "    ")).collect();
                format!("SELECT\n{}", columns.join(",\n"))
            }
        };
        let _ = write!(text, "\nFROM {}", self.from);
        self.joins
            .iter()
            .for_each(|(_, join)| text.push_str(&format!("\n{join}")));
        self.rest
            .iter()
            .for_each(|clause| text.push_str(&format!("\n{clause}")));
        indented(&text, indent)
    }
}

/// A common table expression.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub name: String,
    /// Lines of comment.
    pub about: Vec<String>,
    pub body: Body,
    /// Computed once, although several steps read it.
    pub is_materialized: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Several are combined by the word, such as `UNION ALL`.
    Selects(Vec<Select>, &'static str),
    /// The names of the columns, and the rows.
    Values(Vec<&'static str>, Vec<String>),
}

impl Step {
    pub(super) fn of(name: &str, select: Select) -> Step {
        Step::union(name, vec![select])
    }

    pub(super) fn union(name: &str, selects: Vec<Select>) -> Step {
        Step {
            name: name.to_owned(),
            about: vec![],
            body: Body::Selects(selects, "UNION ALL"),
            is_materialized: false,
        }
    }

    pub(super) fn distinct_union(name: &str, selects: Vec<Select>) -> Step {
        Step {
            body: Body::Selects(selects, "UNION"),
            ..Step::union(name, vec![])
        }
    }

    pub(super) fn values(name: &str, columns: &[&'static str], rows: Vec<String>) -> Step {
        Step {
            body: Body::Values(columns.to_vec(), rows),
            ..Step::union(name, vec![])
        }
    }

    pub(super) fn about(mut self, line: impl Into<String>) -> Step {
        self.about.push(line.into());
        self
    }

    pub(super) fn materialized(self) -> Step {
        Step {
            is_materialized: true,
            ..self
        }
    }

    fn pruned(self, wanted: &BTreeSet<String>) -> Step {
        let body = match self.body {
            Body::Selects(selects, between) => {
                let selects = selects.into_iter();
                let pruned = selects.map(|select| select.pruned(Some(wanted)));
                Body::Selects(pruned.collect(), between)
            }
            values @ Body::Values(..) => values,
        };
        Step { body, ..self }
    }

    fn words(&self) -> BTreeSet<String> {
        match &self.body {
            Body::Selects(selects, _) => selects.iter().flat_map(Select::words).collect(),
            Body::Values(..) => BTreeSet::new(),
        }
    }

    fn print(&self) -> String {
        let mut text = self.name.clone();
        if let Body::Values(columns, _) = &self.body {
            let _ = write!(text, "({})", columns.join(", "));
        }
        let keyword = match self.is_materialized {
            true => " AS MATERIALIZED (\n",
            false => " AS (\n",
        };
        text.push_str(keyword);
        self.about
            .iter()
            .for_each(|line| text.push_str(&format!("    {}\n", comment(line))));
        let body = match &self.body {
            Body::Selects(selects, between) => {
                let printed: Vec<String> = selects.iter().map(|s| s.print("    ")).collect();
                printed.join(&format!("\n    {between}\n"))
            }
            Body::Values(_, rows) => {
                let on_one_line = format!("    VALUES {}", rows.join(", "));
                match on_one_line.len() <= LINE {
                    true => on_one_line,
                    false => format!("    VALUES\n        {}", rows.join(",\n        ")),
                }
            }
        };
        text + &body + "\n)"
    }
}

/// All steps that an answer may need, in the order of their dependencies, and the last SELECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub steps: Vec<Step>,
    pub last: Select,
}

impl Query {
    /// Without the steps and columns that the last SELECT does not need.
    pub(super) fn pruned(self) -> Query {
        let last = self.last.pruned(None);
        let mut wanted = last.words();
        let mut steps = Vec::new();
        for step in self.steps.into_iter().rev() {
            if wanted.contains(&step.name) {
                let step = step.pruned(&wanted);
                wanted.extend(step.words());
                steps.push(step);
            }
        }
        steps.reverse();
        Query { steps, last }
    }

    pub(super) fn print(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(Step::print).collect();
        let with = match steps.is_empty() {
            true => String::new(),
            false => format!("WITH {}\n", steps.join(",\n")),
        };
        format!("{with}{};\n", self.last.print(""))
    }
}

pub(super) fn owned(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    let columns = columns.iter();
    columns
        .map(|(name, expression)| ((*name).to_owned(), (*expression).to_owned()))
        .collect()
}

/// A quotient; null where the denominator is 0 or either is null.
pub(super) fn ratio(numerator: &str, denominator: &str) -> String {
    format!("{QUOTIENT}{numerator} AS DOUBLE) / nullif({denominator}, 0)")
}

/// The begin of [`ratio`], which is a DOUBLE.
pub(super) const QUOTIENT: &str = "CAST(";

/// The type of a column, as DuckDB writes it.
pub(super) fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int64 | Kind::Int32 => "BIGINT",
        Kind::Money => "DECIMAL(18, 2)",
        Kind::Double => "DOUBLE",
        Kind::Text => "VARCHAR",
        Kind::Boolean => "BOOLEAN",
        Kind::Date => "DATE",
        Kind::Instant => "TIMESTAMPTZ",
    }
}

/// A text literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A line of comment; nothing of the text can end it.
pub(super) fn comment(line: &str) -> String {
    let shown: String = line
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect();
    format!("-- {shown}").trim_end().to_owned()
}

/// Every line but those inside of a text literal.
fn indented(sql: &str, indent: &str) -> String {
    let mut indented = indent.to_owned();
    for (part, quote) in parts(sql) {
        match quote {
            Some(_) => indented.push_str(part),
            None => indented += &part.replace('\n', &format!("\n{indent}")),
        }
    }
    indented
}

/// The identifiers of an expression that are not quoted.
fn words(sql: &str) -> Vec<String> {
    let outside = parts(sql).into_iter().filter(|(_, quote)| quote.is_none());
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    outside
        .flat_map(|(part, _)| part.split(move |c| !is_part(c)))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An expression in parts: text literals and quoted identifiers with their quotes, and what lies between.
fn parts(sql: &str) -> Vec<(&str, Option<char>)> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, c) in sql.char_indices() {
        match quote {
            None if matches!(c, '\'' | '"') => {
                parts.push((&sql[start..at], None));
                (start, quote) = (at, Some(c));
            }
            Some(open) if c == open => {
                parts.push((&sql[start..=at], quote));
                (start, quote) = (at + 1, None);
            }
            _ => {}
        }
    }
    parts.push((&sql[start..], quote));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lines_in_quotes_are_left_as_they_are() {
        let sql = "a + \"b's c\" = 'd \"e\nf' AND g";
        assert_eq!(words(sql), ["a", "AND", "g"]);
        assert_eq!(indented("x\n'y\nz'\nw", "  "), "  x\n  'y\nz'\n  w");
        assert_eq!(indented("\"it's\"\nw", "  "), "  \"it's\"\n  w");
    }

    #[test]
    fn only_what_the_last_select_needs_is_printed() {
        let read = Select::new(
            &[("a", "a"), ("b", "b"), ("c", "c")],
            "read_parquet('b.parquet')",
        );
        let sums = Select::new(&[("x", "sum(a)"), ("y", "sum(b)")], "lines").rest("WHERE c > 0");
        let last = Select::new(&[("x", "sums.x")], "(SELECT 1)")
            .join("sums", "CROSS JOIN sums")
            .join("others", "CROSS JOIN others");
        let query = Query {
            steps: vec![
                Step::of("lines", read.clone()),
                Step::of("others", read),
                Step::of("sums", sums),
            ],
            last,
        };
        let expected = "\
WITH lines AS (
    SELECT a, c
    FROM read_parquet('b.parquet')
),
sums AS (
    SELECT sum(a) AS x
    FROM lines
    WHERE c > 0
)
SELECT sums.x
FROM (SELECT 1)
CROSS JOIN sums;
";
        assert_eq!(query.pruned().print(), expected);
    }

    #[test]
    fn a_join_that_a_later_join_names_is_printed() {
        let select = Select::new(&[("x", "c.x")], "a")
            .join("b", "JOIN b ON b.id = a.id")
            .join("c", "JOIN c ON c.id = b.other");
        let printed = select.pruned(None).print("");
        assert_eq!(
            printed,
            "SELECT c.x\nFROM a\nJOIN b ON b.id = a.id\nJOIN c ON c.id = b.other"
        );
    }

    #[test]
    fn no_text_ends_a_literal_or_a_comment() {
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(comment("a\nDROP TABLE b\r--"), "-- a DROP TABLE b --");
        assert_eq!(words("f('x y', a.b) = 'it''s' || c"), ["f", "a", "b", "c"]);
    }
}
