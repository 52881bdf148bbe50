//! One file of one export: its first byte chooses the dataset, the rest is the file.

#![no_main]

use std::sync::LazyLock;

use campaign_etl::contracts::datasets::DATASETS;
use campaign_etl::exports::defect::Defect;
use campaign_etl_fuzz::{Day, FILE, seeds, survive};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static DAY: LazyLock<Day> = LazyLock::new(Day::new);

fuzz_target!(init: write_seeds(), |data: &[u8]| {
    let Some((first, file)) = data.split_first() else { return };
    survive(|| drop(read(usize::from(*first) % DATASETS.len(), file)));
});

fn read(position: usize, file: &[u8]) -> Vec<Defect> {
    DAY.put(DATASETS[position], FILE, file);
    let defects = DAY.read(DATASETS[position]);
    DAY.put(DATASETS[position], FILE, &DAY.files[position]);
    defects
}

/// Seeds into the corpus, once they are known to be read to their ends.
fn write_seeds() {
    for (position, name, file) in seeds::exports(&DAY.files) {
        assert_eq!(read(position, &file), [], "{name}");
        seeds::put("export", &name, &[&[position as u8], &file[..]].concat());
    }
}

// Half of the mutations keep what a change of length would only break: the pages' places, the
// footer's length.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let Some(footer) = footer_start(&data[..size]) else {
        return fuzzer_mutate(data, size, max_size);
    };
    match seed % 4 {
        0 => {
            let mut pages = data[..footer].to_vec();
            fuzzer_mutate(&mut pages, footer, footer);
            data[..footer].copy_from_slice(&pages);
            size
        }
        1 => {
            let room = max_size.saturating_sub(footer + 8).max(size - 8 - footer);
            let mut thrift = data[footer..size - 8].to_vec();
            let length = thrift.len();
            thrift.resize(room, 0);
            let length = fuzzer_mutate(&mut thrift, length, room);
            let end = footer + length;
            data[footer..end].copy_from_slice(&thrift[..length]);
            data[end..end + 4].copy_from_slice(&(length as u32).to_le_bytes());
            data[end + 4..end + 8].copy_from_slice(b"PAR1");
            end + 8
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// Where the footer of the file after the first byte starts, if its last eight bytes are sound.
fn footer_start(data: &[u8]) -> Option<usize> {
    let end = data.len().checked_sub(8)?;
    let length = u32::from_le_bytes(data[end..end + 4].try_into().ok()?);
    end.checked_sub(length as usize)
        .filter(|start| *start > 5 && *start < end)
}
