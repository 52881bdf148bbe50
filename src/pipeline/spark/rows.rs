//! The rows of a large export on the cluster: its files as a view, the account of its rows, and the
//! rejected rows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::client::{Argument, Arguments, Session};
use crate::config::check_cluster_path;
use crate::contracts::{Column, Dataset, DatasetId, Kind, MOST_AMOUNT, Reason, StreamId};
use crate::exports::defect::ReadError;
use crate::exports::open_export::{OpenExport, OpenFile};
use crate::exports::row_filter::{FilterReport, RowFilter};
use crate::mapping::{Change, Constant, Source};
use crate::messages;
use crate::store::Store;

/// Bits of a row's number in `monotonically_increasing_id()`; the bits above are its partition.
const ROW_BITS: u32 = 33;

/// Servers, by the facts that they give about the rows of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// Knows a row's number in its file; gives nanoseconds as whole numbers.
    Spark,
    /// Numbers the rows of each partition of a file; gives nanoseconds as instants.
    Sail,
}

/// Checks every row on the cluster, and names the view of the used rows like the dataset.
pub(super) fn check(
    session: &Session,
    server: Server,
    export: &OpenExport,
    tables: &[Table],
    query: &str,
    mut filter: RowFilter,
) -> Result<FilterReport, ReadError> {
    let name = export.dataset.name;
    name_exported(session, server, export, tables)?;
    let arguments = match export.dataset.id {
        DatasetId::Stream(StreamId::OrderLines) => Arguments::from([
            ("day_start", Argument::Instant(filter.civil().start_us)),
            ("day_end", Argument::Instant(filter.civil().end_us)),
            ("most_amount", Argument::Int(MOST_AMOUNT)),
        ]),
        DatasetId::Stream(StreamId::ProductTraffic) | DatasetId::Snapshot(_) => Arguments::new(),
    };
    let checked = format!("{name}_checked");
    session.name_view(&checked, query, arguments)?;
    let used = format!("SELECT * FROM {checked} WHERE reason IS NULL");
    session.name_view(name, &used, Arguments::new())?;

    let (accounts, nulls) = account(session, export, &checked)?;
    let rows_read = accounts.values().sum::<u64>();
    if rows_read != export.rows() {
        let expected = export.rows();
        let why = format!("it read {rows_read} rows of {name}, and the footers say {expected}");
        return Err(session.failed(why).into());
    }
    let reasons: BTreeMap<Reason, u64> = accounts
        .into_iter()
        .filter_map(|(reason, rows)| Some((reason?, rows)))
        .collect();
    if !reasons.is_empty() {
        let places = Places::of(session, server, name)?;
        let first = format!("ORDER BY file_number, row_index LIMIT {}", filter.most());
        let all = format!("SELECT * FROM {checked} WHERE reason IS NOT NULL {first}");
        let found = reject(session, export, &all, &places, &mut filter)?;
        for reason in reasons.keys().filter(|reason| !found.contains(*reason)) {
            let (code, first) = (reason.code(), "ORDER BY file_number, row_index LIMIT 1");
            let one = format!("SELECT * FROM {checked} WHERE reason = '{code}' {first}");
            reject(session, export, &one, &places, &mut filter)?;
        }
    }
    Ok(filter.into_report(rows_read, &reasons, nulls)?)
}

/// The number of rows by reason, and the nulls of each column that may be null among all rows.
type Account = (BTreeMap<Option<Reason>, u64>, BTreeMap<&'static str, u64>);

/// A file as a table of a query.
pub(super) struct Table {
    /// As a query names it.
    name: String,
    /// The contract's columns, in the types that all files of the export share.
    columns: String,
    /// The conditions of rows with a value that is not exactly one of the contract's type.
    inexact: Vec<String>,
}

/// The files of an export.
///
/// # Errors
/// `ConfigWrong` for a file that this engine cannot read as the program does.
pub(super) fn tables(store: &Store, server: Server, export: &OpenExport) -> Result<Vec<Table>> {
    let table = |file| {
        let path = path_of(store, export, file)?;
        match &export.mapped {
            Some(mapped) => mapped_table(&path, server, export.dataset, mapped.sources(), file),
            None => table(&path, server, export.dataset, file),
        }
    };
    export.files.iter().map(table).collect()
}

/// The server of a session, by how it answers a query over a file.
pub(super) fn server(session: &Session, store: &Store, export: &OpenExport) -> Result<Server> {
    let Some(file) = export.files.first() else {
        return Ok(Server::Spark);
    };
    let path = path_of(store, export, file)?;
    let asked = format!("SELECT _metadata.row_index FROM parquet.`{path}`");
    Ok(match session.understands(&asked)? {
        true => Server::Spark,
        false => Server::Sail,
    })
}

/// A file's path, as a server finds it.
fn path_of(store: &Store, export: &OpenExport, file: &OpenFile) -> Result<String> {
    let path = store.show(&export.path_of(file));
    let path = match path.contains("://") {
        true => path,
        false => std::path::absolute(&path)?.display().to_string(),
    };
    check_cluster_path(&path)?;
    Ok(path)
}

fn table(path: &str, server: Server, dataset: &Dataset, file: &OpenFile) -> Result<Table> {
    let mut table = Table {
        name: format!("parquet.`{path}`"),
        columns: format!("CAST(NULL AS STRING) AS {UNFIT}"),
        inexact: Vec::new(),
    };
    for (column, field) in dataset.columns.iter().zip(&file.types) {
        let found = field.data_type();
        let reading = reading(server, column, column.name, found);
        let reading = reading
            .ok_or_else(|| messages::spark_cannot(path, format!("{} is {found}", column.name)))?;
        let (value, sql_type) = (reading.value, sql_type(column));
        table.columns += &format!(", CAST({value} AS {sql_type}) AS {}", column.name);
        table.inexact.extend(reading.inexact);
    }
    Ok(table)
}

/// The reason of a row with a value that does not fit the mapping of its column; null for any other row.
const UNFIT: &str = "unfit";

/// The name of the column with the file's own values behind a mapped one.
fn raw(column: &str) -> String {
    format!("raw_{column}")
}

/// A file whose columns the job file maps: each value in the form of the contract, or null where it
/// does not fit, and beside it the file's own.
fn mapped_table(
    path: &str,
    server: Server,
    dataset: &Dataset,
    sources: &[Source],
    file: &OpenFile,
) -> Result<Table> {
    let (mut columns, mut unfit) = (Vec::new(), String::new());
    let mut types = file.types.iter();
    for (column, source) in dataset.columns.iter().zip(sources) {
        let value = match source {
            Source::Absent => "NULL".into(),
            Source::Constant(constant) => constant_sql(constant),
            Source::Column { name, change } => {
                let found = types.next().context("a mapped column has a type")?;
                let name = format!("`{}`", name.replace('`', "``"));
                let found = found.data_type();
                let changed = changed(server, dataset, column, change, &name, found);
                let (value, reason) = changed?
                    .ok_or_else(|| messages::spark_cannot(path, format!("{name} is {found}")))?;
                // Nanoseconds are microseconds already.
                let as_read = match (change, reading(server, column, &name, found)) {
                    (Change::Nothing, Some(reading)) => reading.value,
                    _ => name.clone(),
                };
                columns.push(format!("{as_read} AS {}", raw(column.name)));
                let code = reason.code();
                unfit += &format!(" WHEN {name} IS NOT NULL AND ({value}) IS NULL THEN '{code}'");
                value
            }
        };
        let sql_type = sql_type(column);
        columns.push(format!("CAST({value} AS {sql_type}) AS {}", column.name));
    }
    columns.push(format!("CASE{unfit} END AS {UNFIT}"));
    Ok(Table {
        name: format!("parquet.`{path}`"),
        columns: columns.join(", "),
        inexact: Vec::new(),
    })
}

/// A value of a file in the form of the contract, null where it does not fit, and the reason of such
/// a row. `None`: the server reads values of this type in another way.
///
/// # Errors
/// `ConfigWrong` for a verb that this engine does not have.
fn changed(
    server: Server,
    dataset: &Dataset,
    column: &Column,
    change: &Change,
    name: &str,
    found: &DataType,
) -> Result<Option<(String, Reason)>> {
    let refused = |verb| messages::mapped_on_spark(dataset.name, column.name, verb);
    Ok(match change {
        Change::Nothing => {
            let fitting = |Reading { value, inexact }| match inexact {
                None => value,
                Some(inexact) => format!("CASE WHEN NOT ({inexact}) THEN {value} END"),
            };
            let reading = reading(server, column, name, found);
            reading.map(|reading| (fitting(reading), Reason::InexactCast))
        }
        // Servers give such a column as a decimal.
        Change::Scale(_) if *found == DataType::UInt64 => None,
        Change::Scale(scale) => Some((cents_sql(*scale, name), Reason::InexactCast)),
        Change::Values {
            values,
            keeps_others,
        } => {
            let one = |(from, to): (&String, &String)| {
                format!(" WHEN {} THEN {}", text_sql(from), text_sql(to))
            };
            let each: String = values.iter().map(one).collect();
            let others = if *keeps_others { name } else { "NULL" };
            let value = match each.is_empty() {
                true => format!("CAST({others} AS STRING)"),
                false => format!("CASE {name}{each} ELSE {others} END"),
            };
            Some((value, Reason::UnmappedValue))
        }
        Change::TextId {
            hashes_others: true,
        } => return Err(refused("text_id = true").into()),
        Change::TextId {
            hashes_others: false,
        } => {
            // As a number is shown: no sign, no leading zeros.
            let number = format!("try_cast({name} AS BIGINT)");
            let value = format!(
                "CASE WHEN {number} >= 0 AND CAST({number} AS STRING) = {name} THEN {number} END"
            );
            Some((value, Reason::InexactCast))
        }
        Change::TimeZone(_) => return Err(refused("time_zone").into()),
    })
}

/// Whole units, of which ten to the power of `scale` are one of the currency, as an amount; null where
/// it is no whole number of cents, or too large.
fn cents_sql(scale: u32, name: &str) -> String {
    let power = 10_i128.pow(scale.abs_diff(2));
    let cents = match scale {
        0..=2 => format!("CAST({name} AS DECIMAL(20, 0)) * {power}"),
        // Ten to the power of 16 is the greatest divisor.
        _ => format!(
            "CAST(CASE WHEN {name} % {power} = 0 THEN {name} DIV {power} END AS DECIMAL(20, 0))"
        ),
    };
    format!("try_cast(({cents}) * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(18, 2))")
}

fn constant_sql(constant: &Constant) -> String {
    match constant {
        Constant::Whole(number) => format!("CAST('{number}' AS BIGINT)"),
        Constant::Cents(cents) => {
            format!("CAST({cents} AS DECIMAL(38, 0)) * CAST(0.01 AS DECIMAL(3, 2))")
        }
        Constant::Text(text) => text_sql(text),
        Constant::Flag(flag) => flag.to_string(),
        Constant::Day(day) => format!("CAST('{day}' AS DATE)"),
    }
}

/// A text as its bytes: servers differ in the escapes of texts.
fn text_sql(text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    format!("CAST(X'{bytes}' AS STRING)")
}

/// How a server reads a file's column as this program does.
struct Reading {
    value: String,
    /// The rows whose value the contract's type does not hold.
    inexact: Option<String>,
}

/// `None`: the server reads values of this type in another way.
fn reading(server: Server, column: &Column, name: &str, found: &DataType) -> Option<Reading> {
    use DataType::{
        Decimal128, Int8, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32, UInt64,
    };
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    let exact = |value: String| Reading {
        value,
        inexact: None,
    };
    let checked = |inexact: String| Reading {
        value: name.to_owned(),
        inexact: Some(inexact),
    };
    Some(match (column.kind, found) {
        (Kind::Int64 | Kind::Int32, Int8 | Int16 | Int32 | UInt8 | UInt16)
        | (Kind::Int64, Int64 | UInt32)
        | (Kind::Money, Decimal128(0..=18, 2))
        | (Kind::Instant, Timestamp(Microsecond | Millisecond, _))
        | (Kind::Double | Kind::Text | Kind::Boolean | Kind::Date, _) => exact(name.to_owned()),
        (Kind::Int64, UInt64) => checked(format!("{name} > {}", i64::MAX)),
        (Kind::Int32, UInt32 | UInt64 | Int64) => {
            let (least, most) = (i32::MIN, i32::MAX);
            checked(format!("{name} NOT BETWEEN {least} AND {most}"))
        }
        (Kind::Money, Decimal128(precision, scale)) => checked(format!(
            "NOT ({name} <=> try_cast(try_cast({name} AS DECIMAL(18, 2)) AS DECIMAL({precision}, {scale})))"
        )),
        (Kind::Instant, Timestamp(Nanosecond, _)) => exact(match server {
            Server::Spark => format!("timestamp_micros(({name} - pmod({name}, 1000)) DIV 1000)"),
            Server::Sail => format!("date_trunc('MICROSECOND', {name})"),
        }),
        (Kind::Int64 | Kind::Int32 | Kind::Money | Kind::Instant, _) => return None,
    })
}

/// Whether a file has a value that is not exactly one of the contract's type.
pub(super) fn has_inexact(session: &Session, tables: &[Table]) -> Result<bool> {
    let of_table = |table: &Table| {
        let conditions = table.inexact.join(" OR ");
        format!("SELECT 1 AS one FROM {} WHERE {conditions}", table.name)
    };
    let checked = tables.iter().filter(|table| !table.inexact.is_empty());
    let queries: Vec<String> = checked.map(of_table).collect();
    if queries.is_empty() {
        return Ok(false);
    }
    let query = format!("SELECT * FROM ({}) LIMIT 1", queries.join(" UNION ALL "));
    let found = session.rows(&query, Arguments::new())?;
    Ok(found.iter().any(|batch| batch.num_rows() > 0))
}

/// Names the view `<dataset>_read`: the contract's columns of every file, and each row's place.
fn name_exported(
    session: &Session,
    server: Server,
    export: &OpenExport,
    tables: &[Table],
) -> Result<()> {
    let row_index = match server {
        Server::Spark => "_metadata.row_index",
        Server::Sail => "monotonically_increasing_id()",
    };
    let rows_of = |(number, table): (usize, &Table)| {
        let Table { name, columns, .. } = table;
        format!("SELECT {number} AS file_number, {row_index} AS row_index, {columns} FROM {name}")
    };
    let mut queries: Vec<String> = tables.iter().enumerate().map(rows_of).collect();
    if queries.is_empty() {
        let nulls: Vec<String> = export.dataset.columns.iter().map(null).collect();
        let nulls = nulls.join(", ");
        let place =
            "0 AS file_number, CAST(0 AS BIGINT) AS row_index, CAST(NULL AS STRING) AS unfit";
        queries.push(format!("SELECT {place}, {nulls} WHERE 1 = 0"));
    }
    let view = format!("{}_read", export.dataset.name);
    session.name_view(&view, &queries.join(" UNION ALL "), Arguments::new())
}

/// A column of an export without files.
fn null(column: &Column) -> String {
    format!("CAST(NULL AS {}) AS {}", sql_type(column), column.name)
}

fn sql_type(column: &Column) -> &'static str {
    match column.kind {
        Kind::Int64 | Kind::Int32 => "BIGINT",
        Kind::Money => "DECIMAL(18, 2)",
        Kind::Instant => "TIMESTAMP",
        Kind::Text => "STRING",
        Kind::Double => "DOUBLE",
        Kind::Boolean => "BOOLEAN",
        Kind::Date => "DATE",
    }
}

/// The number of rows with each reason (`None`: used), and the nulls among them. A value that does not fit
/// its mapping is no null of the file.
fn account(session: &Session, export: &OpenExport, checked: &str) -> Result<Account> {
    let columns = export.dataset.columns.iter().enumerate();
    let nullable = columns.filter(|(_, column)| column.null.is_some());
    let is_raw = |position: usize| {
        let mapped = export.mapped.as_ref().filter(|_| !export.files.is_empty());
        mapped.is_some_and(|mapped| matches!(mapped.sources()[position], Source::Column { .. }))
    };
    let nullable: Vec<(&'static str, String)> = nullable
        .map(|(position, column)| match is_raw(position) {
            true => (column.name, raw(column.name)),
            false => (column.name, column.name.into()),
        })
        .collect();
    let mut counts = "CAST(count(*) AS BIGINT) AS rows".to_owned();
    for (name, read) in &nullable {
        counts += &format!(", CAST(count(*) - count({read}) AS BIGINT) AS {name}_nulls");
    }
    let query = format!("SELECT reason, {counts} FROM {checked} GROUP BY reason");
    let (mut account, mut nulls) = (BTreeMap::new(), BTreeMap::new());
    for batch in session.rows(&query, Arguments::new())? {
        let rows = ints(&batch, "rows")?;
        for (row, reason) in reasons(&batch)?.into_iter().enumerate() {
            account.insert(reason, rows.value(row) as u64);
        }
        for (name, _) in &nullable {
            let found = ints(&batch, &format!("{name}_nulls"))?;
            *nulls.entry(*name).or_default() += found.values().iter().sum::<i64>() as u64;
        }
    }
    Ok((account, nulls))
}

/// Sets the rows of a query aside, and returns their reasons.
fn reject(
    session: &Session,
    export: &OpenExport,
    query: &str,
    places: &Places,
    filter: &mut RowFilter,
) -> Result<BTreeSet<Reason>, ReadError> {
    let mut found = BTreeSet::new();
    for batch in session.rows(query, Arguments::new())? {
        let places = places.of_rows(&batch)?;
        let reasons: Vec<Reason> = reasons(&batch)?.into_iter().flatten().collect();
        let names: Vec<String> = match &export.mapped {
            None => export
                .dataset
                .columns
                .iter()
                .map(|column| column.name.into())
                .collect(),
            Some(mapped) => {
                let sources = export.dataset.columns.iter().zip(mapped.sources());
                let of_file = sources.filter(|(_, source)| matches!(source, Source::Column { .. }));
                of_file.map(|(column, _)| raw(column.name)).collect()
            }
        };
        let columns = names.iter().map(|name| batch.column_by_name(name).cloned());
        let columns: Option<Vec<_>> = columns.collect();
        let columns = columns.context("a rejected row has every column")?;
        let batch = export.batch_of(columns, &places)?;
        filter.set_aside(&batch, &places, &reasons)?;
        found.extend(reasons);
    }
    Ok(found)
}

/// The rows of each partition of a file, where the server has no row numbers: `(file, partition)`
/// to the number of its first row.
struct Places(Option<BTreeMap<(i64, i64), i64>>);

impl Places {
    fn of(session: &Session, server: Server, name: &str) -> Result<Places> {
        if server == Server::Spark {
            return Ok(Places(None));
        }
        let part = format!("shiftright(row_index, {ROW_BITS})");
        let query = format!(
            "SELECT CAST(file_number AS BIGINT) AS file_number, CAST({part} AS BIGINT) AS part, \
             CAST(count(*) AS BIGINT) AS rows FROM {name}_read GROUP BY file_number, {part}"
        );
        let mut rows = BTreeMap::new();
        for batch in session.rows(&query, Arguments::new())? {
            let (files, parts) = (ints(&batch, "file_number")?, ints(&batch, "part")?);
            let counts = ints(&batch, "rows")?;
            for row in 0..batch.num_rows() {
                rows.insert((files.value(row), parts.value(row)), counts.value(row));
            }
        }
        let (mut file, mut first) = (-1, 0);
        for ((of_file, _), rows) in &mut rows {
            if *of_file != file {
                (file, first) = (*of_file, 0);
            }
            first += std::mem::replace(rows, first);
        }
        Ok(Places(Some(rows)))
    }

    /// The file and the row number of each row.
    fn of_rows(&self, batch: &RecordBatch) -> Result<Vec<(u32, i64)>> {
        let files = batch.column_by_name("file_number").context("file_number")?;
        let files: Vec<i64> = match files.data_type() {
            DataType::Int32 => {
                let files = files.as_primitive::<arrow_array::types::Int32Type>();
                files.values().iter().map(|file| i64::from(*file)).collect()
            }
            _ => ints(batch, "file_number")?.values().to_vec(),
        };
        let rows = ints(batch, "row_index")?.values().iter();
        let places = files.into_iter().zip(rows).map(|(file, row)| {
            let first = match &self.0 {
                None => return Ok((file as u32, *row)),
                Some(first) => first.get(&(file, row >> ROW_BITS)),
            };
            let first = first.context("a row of a partition without rows")?;
            Ok((file as u32, first + (row & ((1 << ROW_BITS) - 1))))
        });
        places.collect()
    }
}

fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    let column = batch.column_by_name(name);
    let values = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
    values.with_context(|| format!("the server gave no BIGINT {name}"))
}

fn reasons(batch: &RecordBatch) -> Result<Vec<Option<Reason>>> {
    let column = batch.column_by_name("reason").context("reason")?;
    let texts: Vec<Option<&str>> = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().collect(),
        DataType::Utf8View => column.as_string_view().iter().collect(),
        other => bail!("the server gave {other} as a reason"),
    };
    let reason = |code: &str| {
        let mut all = Reason::ALL.iter().copied();
        all.find(|reason| reason.code() == code)
            .with_context(|| format!("the server gave {code} as a reason"))
    };
    texts
        .into_iter()
        .map(|text| text.map(reason).transpose())
        .collect()
}
