//! How much of the sweeps and random properties is run: a seeded sample, or everything.
//!
//! | in the environment | effect |
//! | --- | --- |
//! | nothing | a small sample, the same in every run |
//! | `CAMPAIGN_ETL_TESTS=full` | every step of every sweep; many new random cases |
//! | `CAMPAIGN_ETL_TESTS_SEED=N` | another sample, and other random cases |
//!
//! Each test prints its seed, so that a failure shows how to repeat it.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

pub fn is_full() -> bool {
    match std::env::var("CAMPAIGN_ETL_TESTS").as_deref() {
        Err(_) | Ok("") => false,
        Ok("full") => true,
        Ok(other) => panic!("CAMPAIGN_ETL_TESTS={other}: only `full` is known"),
    }
}

/// The same seed in the whole process.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var("CAMPAIGN_ETL_TESTS_SEED") {
        Ok(text) => text.parse().expect("CAMPAIGN_ETL_TESTS_SEED is a number"),
        Err(_) if is_full() => RandomState::new().hash_one(()),
        Err(_) => 20_260_314,
    })
}

/// How often something random is tried: as often as the variable `asked` says, if it is set.
pub fn rounds(asked: &str, sampled: u32, full: u32) -> u32 {
    let rounds = match std::env::var(asked) {
        Ok(text) => text.parse().expect("a number of rounds"),
        Err(_) if is_full() => full,
        Err(_) => sampled,
    };
    assert!(rounds > 0, "an empty sample shows nothing");
    println!(
        "{rounds} random rounds with CAMPAIGN_ETL_TESTS_SEED={}",
        seed()
    );
    rounds
}

/// Every step of a sweep, or `size` of them: one from each of so many equal parts of the sweep.
pub fn sample<T>(steps: Vec<T>, size: usize) -> Vec<T> {
    if is_full() {
        println!("all {} steps", steps.len());
        return steps;
    }
    println!(
        "{size} of {} steps with CAMPAIGN_ETL_TESTS_SEED={}",
        steps.len(),
        seed()
    );
    one_of_each_part(steps, size, seed())
}

fn one_of_each_part<T>(steps: Vec<T>, parts: usize, seed: u64) -> Vec<T> {
    let count = steps.len();
    assert!(
        (1..=count).contains(&parts),
        "{parts} parts of {count} steps"
    );
    let mut random = Pcg64Mcg::new(seed.into());
    let mut chosen = Vec::new();
    for part in 0..parts {
        let (first, next) = (part * count / parts, (part + 1) * count / parts);
        chosen.push(first + (random.next_u64() % (next - first) as u64) as usize);
    }
    let mut positions = 0..;
    steps
        .into_iter()
        .filter(|_| chosen.contains(&positions.next().unwrap()))
        .collect()
}

#[test]
fn a_sample_has_one_step_of_each_part_and_its_seed_decides_which() {
    let sample = |seed| one_of_each_part((0..1000).collect(), 10, seed);
    for (part, step) in sample(1).into_iter().enumerate() {
        assert!((part * 100..(part + 1) * 100).contains(&step));
    }
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert_eq!(one_of_each_part(vec!['a', 'b', 'c'], 3, 1), ['a', 'b', 'c']);
}
