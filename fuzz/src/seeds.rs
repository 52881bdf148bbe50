//! Small valid Parquet files of every dataset, in the encodings and codecs that writers choose
//! among.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use campaign_etl::contracts::datasets::{AD_HOURS, DATASETS};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, GzipLevel, Type, ZstdLevel};
use parquet::data_type::{Int64Type, Int96, Int96Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Puts a seed into a target's corpus, where `cargo fuzz run` looks for it.
pub fn put(target: &str, name: &str, bytes: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&corpus).unwrap();
    fs::write(corpus.join(name), bytes).unwrap();
}

/// Rows of a seed: enough for two row groups, few enough that most bytes are structure.
pub const ROWS: usize = 12;

/// The first rows of a file.
pub fn first_rows(path: &Path) -> RecordBatch {
    let file = Bytes::from(fs::read(path).unwrap());
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batch = reader.next().unwrap().unwrap();
    batch.slice(0, batch.num_rows().min(ROWS))
}

/// Without compression, so that every byte is one that a decoder sees.
pub fn plain(batch: &RecordBatch) -> Vec<u8> {
    write(batch, builder())
}

/// Every form of every dataset's file: the dataset's position in `DATASETS`, a name, the file.
pub fn exports(files: &[Vec<u8>]) -> Vec<(usize, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (position, file) in files.iter().enumerate() {
        let mut put = |form: &str, file| {
            seeds.push((
                position,
                format!("{}-{form}", DATASETS[position].name),
                file,
            ))
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file))
            .unwrap()
            .build()
            .unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let batch = concat_batches(batches[0].schema_ref(), &batches).unwrap();
        put("plain", file.clone());
        put("delta", write(&batch, delta(&batch)));
        for (form, codec) in [
            ("snappy", Compression::SNAPPY),
            ("zstd", Compression::ZSTD(ZstdLevel::default())),
            ("gzip", Compression::GZIP(GzipLevel::default())),
            ("brotli", Compression::BROTLI(Default::default())),
            ("lz4", Compression::LZ4),
            ("lz4-raw", Compression::LZ4_RAW),
        ] {
            put(form, write(&batch, builder().set_compression(codec)));
        }
        if DATASETS[position].name == AD_HOURS.name {
            put("int96", ad_hours_with_int96());
        }
    }
    seeds
}

fn builder() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by("seed".into())
        .set_max_row_group_row_count(Some(ROWS / 2))
}

/// Data pages of version 2, without dictionaries, in the delta encodings of each column's type.
fn delta(batch: &RecordBatch) -> WriterPropertiesBuilder {
    let mut builder = builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false);
    let mut texts = 0;
    for field in batch.schema().fields() {
        let encoding = match field.data_type() {
            DataType::Utf8 => {
                texts += 1;
                if texts % 2 == 0 {
                    Encoding::DELTA_LENGTH_BYTE_ARRAY
                } else {
                    Encoding::DELTA_BYTE_ARRAY
                }
            }
            DataType::Boolean => Encoding::RLE,
            _ => Encoding::DELTA_BINARY_PACKED,
        };
        builder = builder.set_column_encoding(field.name().as_str().into(), encoding);
    }
    builder
}

fn write(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// INT96 has no Arrow type to write it from: Spark's layout, nanoseconds of the day and the Julian
/// day.
fn ad_hours_with_int96() -> Vec<u8> {
    let schema = "message ad_hours { required int64 ad_account_id; required int64 shop_id; required int96 hour_start;
        required int64 spend (DECIMAL(18,2)); required int64 gross_revenue (DECIMAL(18,2)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column_type(&mut column) {
            Type::INT96 => {
                let mut hour = Int96::new();
                hour.set_data(0, 0, 2_461_101);
                column
                    .typed::<Int96Type>()
                    .write_batch(&[hour; 3], None, None)
                    .unwrap();
            }
            _ => drop(
                column
                    .typed::<Int64Type>()
                    .write_batch(&[1, 2, 3], None, None)
                    .unwrap(),
            ),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn column_type(column: &mut parquet::file::writer::SerializedColumnWriter<'_>) -> Type {
    match column.untyped() {
        parquet::column::writer::ColumnWriter::Int96ColumnWriter(_) => Type::INT96,
        _ => Type::INT64,
    }
}
