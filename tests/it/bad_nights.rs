//! Nights that one bad cell, file name or day once ended.
//!
//! The day is published, or blocked with a reason, and nothing is left out in silence.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type as ParquetInt64, Int96};
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::bad_input::Published;
use crate::int96::{AdHour, write_ad_hours};
use crate::world::{Outcome, etl};

const DAY: &str = "2026-03-14";
const BEFORE: &str = "2026-03-13";

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    write_with(path, batch, None);
}

fn write_with(path: &Path, batch: &RecordBatch, properties: Option<WriterProperties>) {
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), properties).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// The batch with a column replaced, or with one more column.
fn with_column(batch: &RecordBatch, name: &str, values: ArrayRef) -> RecordBatch {
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .collect();
    let mut columns = batch.columns().to_vec();
    let field = Field::new(name, values.data_type().clone(), true);
    match fields.iter().position(|f| f.name() == name) {
        Some(at) => (fields[at], columns[at]) = (field, values),
        None => {
            fields.push(field);
            columns.push(values);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The batch with the first values of a column of whole numbers replaced.
fn with_ints(batch: &RecordBatch, name: &str, first: &[Option<i64>]) -> RecordBatch {
    let kept = batch
        .column_by_name(name)
        .unwrap()
        .as_primitive::<Int64Type>();
    let values = first.iter().copied().chain(kept.iter().skip(first.len()));
    with_column(batch, name, Arc::new(Int64Array::from_iter(values)))
}

/// A run reads the changed exports of the day, and no table changes.
#[track_caller]
fn is_the_same(day: &Published, what: &str) {
    let ended = day.run("run", &["--format", "json"]);
    assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
    let is_read = |read: &serde_json::Value| read["day"] == DAY;
    assert!(
        ended.json["datasets"]
            .as_array()
            .unwrap()
            .iter()
            .any(is_read),
        "{what}: the exports were not read"
    );
    assert!(day.tables() == day.before, "{what}: a table changed");
}

fn results(day: &Published) -> PathBuf {
    day.folder.path().join("results")
}

fn newest_manifest(day: &Published, of: &str) -> PathBuf {
    let folder = results(day).join("_runs").join(format!("dt={of}"));
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .max()
        .unwrap()
}

fn manifest(day: &Published, of: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(newest_manifest(day, of)).unwrap()).unwrap()
}

/// The day before cannot be listed: a file stands where the folder of one of its exports should be.
fn make_day_before_unreadable(day: &Published) {
    let contents = day
        .export("contents")
        .with_file_name(format!("dt={BEFORE}"));
    fs::remove_dir_all(&contents).unwrap();
    fs::write(&contents, "").unwrap();
}

/// Exports the order lines of the day again, without the last one.
fn export_one_line_fewer(day: &Published) {
    let part = day.part("order_lines");
    let lines = read(&part);
    write(&part, &lines.slice(0, lines.num_rows() - 1));
}

/// Runs the day: it exits with 74 and has this outcome, and only the day before failed.
#[track_caller]
fn fails_for_the_day_before(day: &Published, outcome: &str) -> Outcome {
    let ended = day.run("run", &["--format", "json"]);
    assert_eq!(
        (ended.code, ended.json["outcome"].as_str()),
        (74, Some(outcome)),
        "{}",
        ended.stderr
    );
    let failed = ended.json["days_failed"].as_array().unwrap();
    let failed: Vec<_> = failed.iter().map(|failed| &failed["day"]).collect();
    assert_eq!(failed, [BEFORE], "only the day before failed");
    ended
}

#[track_caller]
fn says(ended: &Outcome, texts: &[&str]) {
    for text in texts {
        assert!(
            ended.stderr.contains(text),
            "{text:?} is not in:\n{}",
            ended.stderr
        );
    }
}

#[track_caller]
fn does_not_say(ended: &Outcome, texts: &[&str]) {
    for text in texts {
        assert!(
            !ended.stderr.contains(text),
            "{text:?} is in:\n{}",
            ended.stderr
        );
    }
}

// 1. A bad cell never stops a night.

#[test]
fn a_sentinel_in_an_optional_export_is_set_aside_with_its_column_and_value() {
    let day = Published::new();
    let part = day.part("contents");
    write(&part, &with_ints(&read(&part), "views", &[Some(i64::MAX)]));
    let ended = day.run("run", &["--format", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    says(
        &ended,
        &[
            "1 of 312 rows quarantined: TOO_LARGE 1 (views = 9223372036854775807 in row 0 of part-0.parquet)",
        ],
    );
    let again = day.run("run", &["--format", "json"]);
    assert_eq!(
        (
            again.code,
            again.json["outcome"].as_str(),
            again.stderr.as_str()
        ),
        (0, Some("up_to_date"), "")
    );
}

#[test]
fn a_day_of_the_lookback_whose_store_fails_does_not_keep_the_run_from_the_day() {
    let day = Published::new();
    make_day_before_unreadable(&day);
    let part = day.part("contents");
    write(&part, &with_ints(&read(&part), "views", &[Some(1)]));
    let ended = fails_for_the_day_before(&day, "published");
    assert_eq!(
        ended.json["days_failed"][0]["exit_code"], 74,
        "{}",
        ended.json
    );
    assert_eq!(
        (
            ended.json["retry"].as_bool(),
            ended.json["exit_code"].as_i64()
        ),
        (Some(true), Some(74))
    );
    says(
        &ended,
        &["2026-03-13: cannot list", "contents/dt=2026-03-13"],
    );
    for command in ["plan", "status"] {
        let shown = day.run(command, &[]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(shown.stdout.contains("2026-03-13"), "{}", shown.stdout);
    }
}

#[test]
fn where_the_day_before_fails_nothing_stands_in_and_the_day_waits() {
    let day = Published::new();
    fs::remove_dir_all(results(&day)).unwrap();
    fs::remove_file(day.export("shops").join("_SUCCESS")).unwrap();
    make_day_before_unreadable(&day);
    let ended = fails_for_the_day_before(&day, "not_final");
    assert_eq!(
        ended.json["missing"][0]["dataset"], "shops",
        "{}",
        ended.json
    );
}

#[test]
fn a_damaged_published_file_of_another_day_counts_as_missing_and_is_told() {
    let day = Published::new();
    let spoilt = results(&day).join(format!("shop_daily/dt={BEFORE}/part-0.parquet"));
    let mut bytes = fs::read(&spoilt).unwrap();
    let footer = ParquetRecordBatchReaderBuilder::try_new(File::open(&spoilt).unwrap()).unwrap();
    let chunks = footer.metadata().row_group(0).columns();
    let (start, length) = chunks
        .iter()
        .find(|chunk| chunk.column_path().string() == "gmv")
        .unwrap()
        .byte_range();
    bytes[(start + length / 2) as usize] ^= 1;
    fs::write(&spoilt, bytes).unwrap();
    export_one_line_fewer(&day);
    let ended = fails_for_the_day_before(&day, "published");
    says(
        &ended,
        &[
            "is not the file that its manifest lists",
            "backfill --from 2026-03-13 --to 2026-03-13",
        ],
    );
    let periods = read(&results(&day).join(format!("shop_period/dt={DAY}/part-0.parquet")));
    let missing = periods
        .column_by_name("missing_days")
        .unwrap()
        .as_primitive::<Int64Type>();
    let first_days = missing.values().iter().min().unwrap();
    assert!(*first_days >= 1, "the spoilt day counts as missing");
}

#[test]
fn a_damaged_manifest_of_another_day_does_not_keep_the_run_from_the_day() {
    let day = Published::new();
    fs::write(newest_manifest(&day, BEFORE), "{}").unwrap();
    export_one_line_fewer(&day);
    let ended = fails_for_the_day_before(&day, "published");
    says(
        &ended,
        &["is not a manifest of this program", "delete it and run"],
    );
}

#[test]
fn names_that_cannot_be_written_down_break_their_export_only_and_hidden_ones_nothing() {
    let day = Published::new();
    let odd: [&[u8]; 3] = [b"part\n1", b"part\t1", b"part\xff"];
    for folder in [
        day.export("contents"),
        day.export("contents")
            .with_file_name(format!("dt={BEFORE}")),
    ] {
        for name in odd {
            let hidden = folder.join(OsStr::from_bytes(&[b"_", name].concat()));
            fs::write(&hidden, "").unwrap();
        }
    }
    let ended = day.run("run", &[]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "hidden names mean nothing"
    );
    for folder in [
        "_runs",
        "_runs/dt=2026-03-14",
        "shop_daily",
        "shop_daily/dt=2026-03-14",
        "_locks",
    ] {
        fs::write(
            results(&day).join(folder).join(OsStr::from_bytes(odd[0])),
            "",
        )
        .unwrap();
    }
    let ended = day.run("run", &[]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "nor do odd names among the results"
    );
    for name in odd {
        let path = day.export("contents").join(OsStr::from_bytes(name));
        fs::write(&path, "").unwrap();
        let ended = day.run("run", &["--format", "json"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        says(
            &ended,
            &[
                "contents breaks its contract",
                "a name that cannot be read",
                "rename it",
            ],
        );
        assert!(
            ended.stderr.contains(&name.escape_ascii().to_string()),
            "{}",
            ended.stderr
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn annotations_and_offsets_of_other_writers_are_read() {
    let day = Published::new();
    let part = day.part("order_lines");
    let (bytes, lines) = (fs::read(&part).unwrap(), read(&part));

    // An extra column with an unknown logical type: the type of UINT64 with another number, and
    // without the older annotation.
    let extra: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..lines.num_rows() as u64));
    write(&part, &with_column(&lines, "row_hash", extra));
    let unsigned = [
        &b"row_hash"[..],
        &[0x25, 0x1c, 0x4c, 0xac, 0x13, 0x40, 0x12, 0x00],
    ]
    .concat();
    let unknown = [
        &b"row_hash"[..],
        &[0x6c, 0x0c, 0x50, 0x13, 0x40, 0x12, 0x00],
    ]
    .concat();
    replace_in_footer(&part, &unsigned, &unknown);
    is_the_same(&day, "an unknown logical type");

    // The ordinal of the row group as i32: field 7 after field 6.
    write(&part, &lines);
    replace_in_footer(&part, &[0x14, 0x00, 0x00], &[0x15, 0x00, 0x00]);
    is_the_same(&day, "an ordinal of 32 bits");

    // parquet-mr 1.12 writes offset 0 where a chunk has no dictionary.
    let plain = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_offset_index_disabled(true);
    write_with(
        &part,
        &lines,
        Some(
            plain
                .set_statistics_enabled(EnabledStatistics::Chunk)
                .build(),
        ),
    );
    with_dictionaries_at_0(&part);
    is_the_same(&day, "a dictionary at offset 0");
    fs::write(&part, bytes).unwrap();
}

fn with_dictionaries_at_0(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let (data, footer) = split_footer(&bytes);
    let metadata = ParquetMetaDataReader::decode_metadata(footer).unwrap();
    let groups = metadata
        .row_groups()
        .iter()
        .map(group_with_dictionaries_at_0)
        .collect();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let mut written = data.to_vec();
    ParquetMetaDataWriter::new(&mut written, &metadata)
        .finish()
        .unwrap();
    fs::write(path, written).unwrap();
}

fn group_with_dictionaries_at_0(group: &RowGroupMetaData) -> RowGroupMetaData {
    let mut chunks = Vec::new();
    for chunk in group.columns() {
        assert_eq!(chunk.dictionary_page_offset(), None);
        let moved = chunk
            .clone()
            .into_builder()
            .set_dictionary_page_offset(Some(0));
        chunks.push(moved.build().unwrap());
    }
    group
        .clone()
        .into_builder()
        .set_column_metadata(chunks)
        .build()
        .unwrap()
}

/// The pages of a Parquet file, and its footer without length and magic bytes.
fn split_footer(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (bytes, end) = bytes.split_at(bytes.len() - 8);
    let length = u32::from_le_bytes(end[..4].try_into().unwrap()) as usize;
    bytes.split_at(bytes.len() - length)
}

/// Replaces the last occurrence of some bytes in the footer; its length may change.
fn replace_in_footer(path: &Path, from: &[u8], to: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let (data, footer) = split_footer(&bytes);
    let at = footer
        .windows(from.len())
        .rposition(|window| window == from)
        .expect("the bytes are in the footer");
    let footer = [&footer[..at], to, &footer[at + from.len()..]].concat();
    let length = (footer.len() as u32).to_le_bytes();
    fs::write(path, [data, &footer, &length, b"PAR1"].concat()).unwrap();
}

/// Shops whose `category` has another annotation than STRING.
fn write_shops(path: &Path, shops: &RecordBatch, annotation: &str) {
    let schema = format!(
        "message shops {{ required int64 shop_id; required binary shop_name (STRING); optional binary category ({annotation});
         optional int64 primary_ad_account_id; }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (at, column) in shops.columns().iter().enumerate() {
        let mut chunk = group.next_column().unwrap().unwrap();
        let levels: Vec<i16> = (0..column.len())
            .map(|row| i16::from(column.is_valid(row)))
            .collect();
        let levels = (at >= 2).then_some(&levels[..]);
        if let Some(texts) = column.as_string_opt::<i32>() {
            let values: Vec<ByteArray> = texts.iter().flatten().map(ByteArray::from).collect();
            chunk
                .typed::<ByteArrayType>()
                .write_batch(&values, levels, None)
                .unwrap();
        } else {
            let values: Vec<i64> = column
                .as_primitive::<Int64Type>()
                .iter()
                .flatten()
                .collect();
            chunk
                .typed::<ParquetInt64>()
                .write_batch(&values, levels, None)
                .unwrap();
        }
        chunk.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn texts_annotated_as_json_or_enum_are_read_like_strings() {
    let day = Published::new();
    let part = day.part("shops");
    let shops = read(&part);
    for annotation in ["JSON", "ENUM"] {
        write_shops(&part, &shops, annotation);
        is_the_same(&day, annotation);
    }
}

// 2. Nothing is left out in silence.

#[test]
fn data_files_have_any_name() {
    let day = Published::new();
    let part = day.part("order_lines");
    let lines = read(&part);
    let half = lines.num_rows() / 2;
    for name in ["000001_0", "X.PARQUET", "part-1.parquet.snappy", "rows"] {
        write(&part, &lines.slice(0, half));
        write(
            &day.export("order_lines").join(name),
            &lines.slice(half, lines.num_rows() - half),
        );
        is_the_same(&day, name);
        fs::remove_file(day.export("order_lines").join(name)).unwrap();
    }
}

#[test]
fn what_cannot_be_a_data_file_breaks_the_contract_by_name() {
    let day = Published::new();
    let folder = day.export("order_lines");
    for name in ["hour=00", "part-1.parquet"] {
        fs::create_dir(folder.join(name)).unwrap();
        assert_eq!(day.run("run", &[]).code, 0, "an empty folder is nothing");
        fs::write(folder.join(name).join("part-0.parquet"), "").unwrap();
        day.is_blocked(&[
            name,
            "a folder with something in it",
            "write the files directly into the folder of the day",
        ]);
        fs::remove_dir_all(folder.join(name)).unwrap();
    }
    symlink("nowhere", folder.join("part-2.parquet")).unwrap();
    day.is_blocked(&[
        "part-2.parquet",
        "a link to nothing",
        "restore the linked file, or remove the link",
    ]);
    fs::remove_file(folder.join("part-2.parquet")).unwrap();
    fs::write(folder.join("README.txt"), "rows of the day").unwrap();
    day.is_blocked(&["README.txt", "a Parquet file"]);
}

#[test]
fn success_as_hadoop_writes_it_is_a_mark() {
    let day = Published::new();
    for text in [
        "\n",
        " \r\n",
        r#"{"name": "org.apache.hadoop.fs.s3a.commit.files.SuccessData/1", "filenames": ["x"]}"#,
    ] {
        fs::write(day.export("shops").join("_SUCCESS"), text).unwrap();
        is_the_same(&day, text);
    }
}

/// `tests/fuzzed/shops/page_with_a_wrong_checksum.parquet`: pyarrow wrote it with page checksums,
/// and then one bit of a page was flipped, in the byte so far from the end of the file.
const FLIPPED_FROM_END: usize = 2016;

#[test]
fn a_wrong_page_checksum_blocks_the_day_and_a_right_one_does_not() {
    let day = Published::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bytes =
        fs::read(root.join("tests/fuzzed/shops/page_with_a_wrong_checksum.parquet")).unwrap();
    fs::write(day.part("shops"), &bytes).unwrap();
    day.is_blocked(&["part-0.parquet", "a page whose checksum is wrong"]);
    let flipped = bytes.len() - FLIPPED_FROM_END;
    bytes[flipped] ^= 1;
    fs::write(day.part("shops"), &bytes).unwrap();
    is_the_same(&day, "a right checksum");
}

#[test]
fn instants_that_no_calendar_holds_break_the_contract() {
    let day = Published::new();
    let part = day.part("contents");
    let contents = read(&part);
    let kept = contents
        .column_by_name("published_at")
        .unwrap()
        .as_primitive::<TimestampMicrosecondType>();
    // DuckDB's infinity, the first microsecond of year 10000, the last before year 1.
    for instant in [i64::MAX, 253_402_300_800_000_000, -62_135_596_800_000_001] {
        let values = std::iter::once(Some(instant)).chain(kept.iter().skip(1));
        let array = TimestampMicrosecondArray::from_iter(values).with_timezone("UTC");
        write(
            &part,
            &with_column(&contents, "published_at", Arc::new(array)),
        );
        let ended = day.run("run", &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        says(
            &ended,
            &["published_at", "an instant of years 1 to 9999", "in row 0"],
        );
        assert!(
            !results(&day)
                .join(format!("content_daily/dt={DAY}/part-0.parquet"))
                .exists()
        );
    }
}

/// `ad_hours` with one row, whose INT96 has this Julian day.
fn write_int96(path: &Path, julian_day: u32) {
    let mut hour_start = Int96::new();
    hour_start.set_data(0, 0, julian_day);
    let row = AdHour {
        ad_account_id: 1,
        shop_id: 1,
        hour_start,
        spend: 1,
        gross_revenue: 1,
    };
    write_ad_hours(path, &[row]);
}

#[test]
fn int96_of_an_absurd_day_does_not_wrap_into_a_right_one() {
    let day = Published::new();
    // 2^32 - 1, the day before 0001-01-01, and one whose microseconds are those of 2026-03-14
    // modulo 2^64.
    for julian_day in [u32::MAX, 1_721_425, 5_373_485] {
        write_int96(&day.part("ad_hours"), julian_day);
        let ended = day.run("run", &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        says(
            &ended,
            &[
                "ad_hours breaks its contract",
                "hour_start",
                "an INT96 instant outside the years 1 to 9999",
            ],
        );
    }
}

#[test]
fn days_beyond_the_lookback_that_are_lost_or_stale_are_told_with_the_backfill() {
    let day = Published::new();
    let job = day.folder.path().join("job.toml");
    fs::write(&job, "lookback_days = 0\n").unwrap();
    let run = || day.run("run", &["--config", job.to_str().unwrap()]);
    does_not_say(&run(), &["before the lookback"]);
    fs::remove_file(results(&day).join(format!("content_daily/dt={BEFORE}/part-0.parquet")))
        .unwrap();
    let ended = run();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mends = "run: campaign-etl backfill --from 2026-03-13 --to 2026-03-13";
    says(
        &ended,
        &[
            "before the lookback, 2026-03-13 is published and stale or lost",
            "is gone or cut short",
            mends,
        ],
    );
    // Lost tables of the day are reported by every run.
    says(&run(), &[mends]);

    // With other settings, the old day stays as it is and is reported.
    let other = day.folder.path().join("other.toml");
    fs::write(&other, "lookback_days = 0\n[benchmark]\nmin_peers = 11\n").unwrap();
    let ended = day.run("run", &["--config", other.to_str().unwrap()]);
    says(&ended, &["is published and stale or lost", mends]);
}

#[test]
fn results_hold_one_currency() {
    let day = Published::new();
    let job = day.folder.path().join("job.toml");
    fs::write(&job, "currency = \"EUR\"\n").unwrap();
    for command in ["run", "plan", "status"] {
        let ended = day.run(command, &["--config", job.to_str().unwrap()]);
        assert_eq!(ended.code, 78, "{}", ended.stderr);
        says(
            &ended,
            &[
                "currency = \"EUR\"",
                "are in USD",
                "name another location in `results`",
            ],
        );
    }
    assert!(day.tables() == day.before);
}

// 3. Messages for 3 a.m.

#[test]
fn every_reason_names_its_column_and_first_value() {
    let day = Published::new();
    let part = day.part("order_lines");
    let lines = read(&part);
    write(&part, &with_ints(&lines, "buyer_id", &[None; 11]));
    let ended = day.is_blocked(&[
        "NULL_VALUE 11 (buyer_id is null in row 0 of part-0.parquet)",
        "_quarantine/order_lines",
    ]);
    says(
        &ended,
        &["blocked: order_lines", "raise the quarantine budget"],
    );
    // The account of a blocked day is kept.
    let accounts = manifest(&day, DAY)["datasets"].as_array().unwrap().clone();
    let account = accounts
        .iter()
        .find(|account| account["dataset"] == "order_lines")
        .unwrap();
    let rows = |name: &str| account[name].as_u64().unwrap();
    assert_eq!(
        (
            rows("rows_quarantined"),
            account["reasons"]["NULL_VALUE"].as_u64()
        ),
        (11, Some(11))
    );
    assert_eq!(
        rows("rows_read"),
        rows("rows_used") + 11 + rows("rows_out_of_scope")
    );
    assert_eq!(account["examples"][0]["column"], "buyer_id");
    let quarantine =
        read(&results(&day).join(format!("_quarantine/order_lines/dt={DAY}/part-0.parquet")));
    assert_eq!(quarantine.num_rows(), 11);
    assert_eq!(
        quarantine
            .column_by_name("column")
            .unwrap()
            .as_string::<i32>()
            .value(0),
        "buyer_id"
    );
    // `validate` writes no quarantine, and names none.
    let checked = day.run("validate", &[]);
    assert_eq!(checked.code, 65);
    assert!(
        checked.stdout.contains("buyer_id is null in row 0"),
        "{}",
        checked.stdout
    );
    assert!(
        !checked.stdout.contains("_quarantine"),
        "{}",
        checked.stdout
    );
}

#[test]
fn rows_outside_the_day_are_told_with_the_zone_and_the_bounds_of_the_day() {
    let day = Published::new();
    let job = day.folder.path().join("job.toml");
    fs::write(&job, "time_zone = \"Asia/Tokyo\"\nlookback_days = 0\n").unwrap();
    let results = day.folder.path().join("elsewhere");
    let ended = day.run(
        "run",
        &[
            "--config",
            job.to_str().unwrap(),
            "--results",
            results.to_str().unwrap(),
            "--format",
            "json",
        ],
    );
    assert_eq!(ended.code, 65, "{}", ended.stderr);
    says(
        &ended,
        &[
            "OUTSIDE_DAY",
            "paid_at = 2026-03-1",
            "not within 2026-03-14 in Asia/Tokyo, from 2026-03-13T15:00:00Z to before 2026-03-14T15:00:00Z",
            "or correct time_zone in the job file",
        ],
    );
    does_not_say(&ended, &["raise the quarantine budget"]);
}

#[test]
fn columns_in_upper_case_are_named() {
    let day = Published::new();
    let part = day.part("shops");
    let shops = read(&part);
    let fields: Vec<Field> = shops
        .schema()
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_name(f.name().to_uppercase()))
        .collect();
    write(
        &part,
        &RecordBatch::try_new(Arc::new(Schema::new(fields)), shops.columns().to_vec()).unwrap(),
    );
    day.is_blocked(&[
        "SHOP_ID: names are compared exactly",
        "write lower case in the export",
    ]);
}

#[test]
fn an_encrypted_file_is_called_so() {
    let day = Published::new();
    let bytes = fs::read(day.part("shops")).unwrap();
    // A file with an encrypted footer ends with PARE. A plain footer of an encrypted file holds the
    // algorithm in field 8.
    fs::write(
        day.part("shops"),
        [&bytes[..bytes.len() - 4], b"PARE"].concat(),
    )
    .unwrap();
    day.is_blocked(&[
        "part-0.parquet",
        "an encrypted file",
        "without Parquet encryption",
    ]);
    let (data, footer) = split_footer(&bytes);
    // The last field is created_by (6). Field 8 with an empty structure follows, in the long form.
    let footer = [&footer[..footer.len() - 1], &[0x0c, 16, 0, 0]].concat();
    let length = (footer.len() as u32).to_le_bytes();
    fs::write(
        day.part("shops"),
        [data, &footer, &length, b"PAR1"].concat(),
    )
    .unwrap();
    day.is_blocked(&["part-0.parquet", "an encrypted file"]);
}

#[test]
fn hidden_files_of_an_export_without_rows_are_named() {
    let day = Published::new();
    fs::rename(
        day.part("order_lines"),
        day.export("order_lines").join("_part-0.parquet"),
    )
    .unwrap();
    day.is_blocked(&[
        "order_lines has no row to use",
        "not data: _part-0.parquet",
        "may_be_empty",
    ]);
}

#[test]
fn an_exports_location_without_any_dataset_is_a_failed_store() {
    let day = Published::new();
    let nowhere = day.folder.path().join("exprots");
    fs::create_dir_all(nowhere.join("orders/dt=2026-03-14")).unwrap();
    for command in ["run", "validate", "plan"] {
        let ended = day.run(command, &["--exports", nowhere.to_str().unwrap()]);
        assert_eq!(ended.code, 74, "{}", ended.stderr);
        says(
            &ended,
            &[
                "exprots has no folder of any dataset",
                "found: orders",
                "correct `exports`",
            ],
        );
    }
}

#[test]
fn waiting_names_what_the_day_itself_needs() {
    let day = Published::new();
    for of in [DAY, BEFORE] {
        fs::remove_file(
            day.export("shops")
                .with_file_name(format!("dt={of}"))
                .join("_SUCCESS"),
        )
        .unwrap();
    }
    fs::remove_dir_all(results(&day)).unwrap();
    let ended = etl(&[
        "run",
        "--day",
        DAY,
        "--config",
        concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/daily.toml"),
        "--exports",
        day.folder.path().join("exports").to_str().unwrap(),
        "--results",
        results(&day).to_str().unwrap(),
    ]);
    assert_eq!(ended.code, 75);
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.contains("waiting for shops; nothing stands in, the day before lacks shops"),
        "{last}"
    );
}

#[test]
fn an_up_to_date_run_of_a_marketplace_without_ads_mails_nothing() {
    let day = Published::new();
    for of in [DAY, BEFORE] {
        fs::remove_dir_all(day.export("ad_hours").with_file_name(format!("dt={of}"))).unwrap();
    }
    let computed = day.run("run", &["--format", "json"]);
    assert_eq!(computed.json["outcome"], "published");
    says(
        &computed,
        &["2026-03-14 not final: ad_hours; tables and columns that need it are left out"],
    );
    for more in [&[][..], &["--log-format", "json"]] {
        let ended = day.run("run", more);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    }
}

#[test]
fn the_report_of_a_run_is_one_document_whatever_the_outcome() {
    let day = Published::new();
    let published = day.run("run", &["--format", "json"]).json;
    assert_eq!(
        (
            published["exit_code"].as_i64(),
            published["retry"].as_bool()
        ),
        (Some(0), Some(false))
    );
    assert_eq!(published["days_failed"], serde_json::json!([]));

    fs::remove_file(day.export("shops").join("_SUCCESS")).unwrap();
    let waiting = day
        .run("run", &["--format", "json", "--accept-fallback"])
        .json;
    // The day was published before, so its own benchmarks stay, and the run waits.
    assert_eq!(
        (waiting["outcome"].as_str(), waiting["retry"].as_bool()),
        (Some("not_final"), Some(true))
    );

    let nowhere = day.folder.path().join("nowhere");
    let failed = day
        .run(
            "run",
            &["--format", "json", "--exports", nowhere.to_str().unwrap()],
        )
        .json;
    assert_eq!(
        (failed["day"].as_str(), failed["outcome"].as_str()),
        (Some(DAY), Some("failed"))
    );
    assert_eq!(
        (failed["exit_code"].as_i64(), failed["retry"].as_bool()),
        (Some(74), Some(true))
    );
    assert!(failed["error"].as_str().unwrap().contains("nowhere"));
}
