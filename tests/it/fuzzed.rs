//! Files that fuzzing found, and files made like them: each is reported as a damaged export.
//!
//! The sizes and counts in such files are lies.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use campaign_etl::contracts::Dataset;
use campaign_etl::contracts::datasets::DATASETS;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, GzipLevel, Type, ZstdLevel};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::bad_input::Published;
use crate::sampling::sample;

/// `tests/fuzzed/<dataset>/*`: the files that `cargo fuzz` found, minimized.
fn found() -> Vec<(&'static Dataset, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed");
    let files_of = |dataset: &&'static Dataset| {
        let entries = fs::read_dir(root.join(dataset.name)).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (*dataset, path))
            .collect::<Vec<_>>()
    };
    let files: Vec<_> = DATASETS.iter().flat_map(files_of).collect();
    let folders = fs::read_dir(&root).unwrap().count();
    assert!(
        !files.is_empty() && folders == files.chunk_by(|a, b| a.0.name == b.0.name).count(),
        "a folder is not run"
    );
    files
}

#[test]
fn every_found_file_is_a_damaged_export_that_is_named() {
    let day = Published::new();
    for (dataset, path) in found() {
        let whole = fs::read(day.part(dataset.name)).unwrap();
        fs::copy(&path, day.part(dataset.name)).unwrap();
        let ended = day.run("run", &["--strict"]);
        assert_eq!(ended.code, 65, "{}: {}", path.display(), ended.stderr);
        for text in [dataset.name, "part-0.parquet"] {
            assert!(
                ended.stderr.contains(text),
                "{}: {text:?} is not in:\n{}",
                path.display(),
                ended.stderr
            );
        }
        assert!(
            !ended.stderr.contains("panicked"),
            "{}: {}",
            path.display(),
            ended.stderr
        );
        fs::write(day.part(dataset.name), whole).unwrap();
    }
}

#[test]
fn sizes_and_counts_that_lie_are_damage_and_nothing_is_set_aside_for_them() {
    let day = Published::new();
    let whole = fs::read(day.part("shops")).unwrap();
    let one = |column, codec, page: Vec<u8>| with_pages(&whole, column, codec, &page);
    let uncompressed = Compression::UNCOMPRESSED;
    let snappy = page(DATA, i32::MAX, 1, PLAIN, &[0; 16]);
    let bomb = page(DATA, 1000, 1, PLAIN, &gzip_of_zeros(64 << 20));
    let dictionary = page(DICTIONARY, 8, i32::MAX, PLAIN, &[0; 8]);
    let lengths = page(DATA, 16, 1, DELTA_LENGTH_BYTE_ARRAY, &deltas(1 << 40));
    let prefixes = page(
        DATA,
        32,
        1,
        DELTA_BYTE_ARRAY,
        &[deltas(1), deltas(1 << 40)].concat(),
    );
    for (file, says) in [
        (
            one("shop_id", Compression::SNAPPY, snappy),
            "claims 1 values in 2147483647 bytes",
        ),
        (
            one("shop_id", Compression::GZIP(GzipLevel::default()), bomb),
            "claims another size than its content has",
        ),
        (
            one("shop_id", uncompressed, dictionary),
            "claims 2147483647 values in 8 bytes",
        ),
        (
            one("shop_id", uncompressed, page(DATA, 8, 60, PLAIN, &[0; 8])),
            "claims 60 values for 59 rows",
        ),
        (
            one("shop_name", uncompressed, lengths),
            "counts its values in two ways",
        ),
        (
            one("shop_name", uncompressed, prefixes),
            "counts its values in two ways",
        ),
        (
            with_rows(&whole, 1 << 40),
            "says 1099511627776 rows in a file of",
        ),
        (
            with_chunks_as_long_as_the_file(&whole),
            "bytes of columns in a file of",
        ),
        (
            [&whole[..whole.len() - 8], b"\0\0\0\0PAR1"].concat(),
            "a Parquet file",
        ),
    ] {
        fs::write(day.part("shops"), file).unwrap();
        let ended = day.run("run", &["--format", "json"]);
        let reason = ended.json["blocked"][0]["reason"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(ended.code, 65, "{}", ended.stderr);
        assert!(
            reason.contains("part-0.parquet") && reason.contains(says),
            "{says:?} is not in {reason}"
        );
    }
}

#[test]
fn a_success_list_of_any_length_is_told_at_once() {
    let day = Published::new();
    let mark = day.export("shops").join("_SUCCESS");
    let entry = r#"{"name":"a","size_bytes":1,"row_count":1}"#;
    for (list, says) in [
        (
            format!(r#"{{"files":[{}]}}"#, vec![entry; 200_000].join(",")),
            "(and 399999 more)",
        ),
        (" ".repeat(17 << 20), "found 17825792 bytes"),
        (
            format!(r#"{{"more":{}"#, "[".repeat(100_000)),
            "EOF while parsing a list",
        ),
    ] {
        fs::write(&mark, list).unwrap();
        let reason = &day.run("run", &["--format", "json"]).json["blocked"][0]["reason"];
        assert!(
            reason.as_str().unwrap().contains(says),
            "{says:?} is not in {reason}"
        );
    }
}

#[test]
fn every_codec_page_version_and_encoding_gives_the_same_results() {
    let day = Published::new();
    for (codec, version, encode) in sample(ways_to_write(), 7) {
        let way = format!("{codec} {version:?} {encode}");
        for dataset in DATASETS {
            let path = day.part(dataset.name);
            let written = rewritten(&fs::read(&path).unwrap(), codec, version, encode);
            fs::write(&path, written).unwrap();
        }
        let ended = day.run("run", &[]);
        assert_eq!(ended.code, 0, "{way}: {}", ended.stderr);
        assert!(day.tables() == day.before, "{way}: other results");
    }
}

/// Codec, page version, and whether delta encodings are used; a sample of 7 has each codec.
fn ways_to_write() -> Vec<(Compression, WriterVersion, bool)> {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(Default::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let mut ways = Vec::new();
    for codec in codecs {
        ways.push((codec, WriterVersion::PARQUET_1_0, false));
        ways.push((codec, WriterVersion::PARQUET_1_0, true));
        ways.push((codec, WriterVersion::PARQUET_2_0, true));
    }
    ways
}

/// The same rows. With `delta`, without dictionaries and in the delta encoding of each column's
/// type; texts have two, which take turns.
fn rewritten(file: &[u8], codec: Compression, version: WriterVersion, delta: bool) -> Vec<u8> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap();
    let columns = reader.parquet_schema().columns().to_vec();
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(50)
        .set_dictionary_enabled(!delta);
    for (position, column) in columns.iter().enumerate().filter(|_| delta) {
        let encoding = match column.physical_type() {
            Type::BYTE_ARRAY if position % 2 == 0 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => Encoding::DELTA_BYTE_ARRAY,
            Type::INT32 | Type::INT64 => Encoding::DELTA_BINARY_PACKED,
            _ => Encoding::PLAIN,
        };
        properties = properties.set_column_encoding(column.path().clone(), encoding);
    }
    let mut writer = ArrowWriter::try_new(
        Vec::new(),
        reader.schema().clone(),
        Some(properties.build()),
    )
    .unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.into_inner().unwrap()
}

// Files that lie: one column of a sound file gets other pages, or the footer other numbers.

const DATA: i32 = 0;
const DICTIONARY: i32 = 2;
const PLAIN: i32 = 0;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const DELTA_BYTE_ARRAY: i32 = 7;

/// A page with a header in Thrift's compact protocol: kind, sizes, and the structure of that kind.
fn page(kind: i32, inflated: i32, values: i32, encoding: i32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut number = |field: u8, value: i32| {
        bytes.push(field << 4 | 5);
        varint(&mut bytes, ((value << 1) ^ (value >> 31)) as u32 as u64);
    };
    number(1, kind);
    number(1, inflated);
    number(1, content.len() as i32);
    bytes.push(if kind == DICTIONARY { 0x4c } else { 0x2c });
    let mut number = |value: i32| {
        bytes.push(0x15);
        varint(&mut bytes, u64::from((value as u32) << 1));
    };
    number(values);
    number(encoding);
    if kind == DATA {
        number(3);
        number(3);
    }
    bytes.extend([0, 0]);
    bytes.extend(content);
    bytes
}

/// A list of numbers in `DELTA_BINARY_PACKED` that claims `count` of them and holds one.
fn deltas(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [128, 4, count, 0] {
        varint(&mut bytes, number);
    }
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(&vec![0; length]).unwrap();
    writer.finish().unwrap()
}

fn metadata_of(file: &[u8]) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::copy_from_slice(file))
        .unwrap()
}

fn with_pages(file: &[u8], column: &str, codec: Compression, pages: &[u8]) -> Vec<u8> {
    let metadata = metadata_of(file);
    let start = file.len() as i64;
    let moved = |chunk: &ColumnChunkMetaData| {
        if chunk.column_path().string() != column {
            return chunk.clone();
        }
        let moved = chunk
            .clone()
            .into_builder()
            .set_compression(codec)
            .set_dictionary_page_offset(None);
        moved
            .set_data_page_offset(start)
            .set_total_compressed_size(pages.len() as i64)
            .build()
            .unwrap()
    };
    // The old footer stays in the file; nothing points at it.
    with_columns([file, pages].concat(), &metadata, moved)
}

fn with_chunks_as_long_as_the_file(file: &[u8]) -> Vec<u8> {
    let whole = |chunk: &ColumnChunkMetaData| {
        let moved = chunk
            .clone()
            .into_builder()
            .set_dictionary_page_offset(None)
            .set_data_page_offset(4);
        moved
            .set_total_compressed_size(file.len() as i64 - 4)
            .build()
            .unwrap()
    };
    with_columns(file.to_vec(), &metadata_of(file), whole)
}

fn with_columns(
    mut bytes: Vec<u8>,
    metadata: &ParquetMetaData,
    change: impl Fn(&ColumnChunkMetaData) -> ColumnChunkMetaData,
) -> Vec<u8> {
    let group = metadata.row_group(0).clone();
    let columns = group.columns().iter().map(change).collect();
    let groups = vec![
        group
            .into_builder()
            .set_column_metadata(columns)
            .build()
            .unwrap(),
    ];
    let metadata = ParquetMetaData::new(metadata.file_metadata().clone(), groups);
    ParquetMetaDataWriter::new(&mut bytes, &metadata)
        .finish()
        .unwrap();
    bytes
}

fn with_rows(file: &[u8], rows: i64) -> Vec<u8> {
    let metadata = metadata_of(file);
    let told = metadata.file_metadata();
    let told = parquet::file::metadata::FileMetaData::new(
        told.version(),
        rows,
        told.created_by().map(Into::into),
        None,
        told.schema_descr_ptr(),
        None,
    );
    let groups = vec![
        metadata
            .row_group(0)
            .clone()
            .into_builder()
            .set_num_rows(rows)
            .build()
            .unwrap(),
    ];
    let mut bytes = file.to_vec();
    ParquetMetaDataWriter::new(&mut bytes, &ParquetMetaData::new(told, groups))
        .finish()
        .unwrap();
    bytes
}
