//! Random streams: reproducible numbers, the same on every machine.
//!
//! One stream per (seed, subject, day, shop), so that days and shops do not depend on each other.
//! Only integer arithmetic, the correctly rounded operations of IEEE 754 and the `libm` crate are
//! used: the platform's own `exp` and `ln` may differ in the last bit, and so would the committed
//! sample.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A source of random numbers for one subject.
pub(super) struct Stream(Pcg64Mcg);

impl Stream {
    /// The stream of a subject (`"visits"`, ...) and the numbers that tell its instances apart
    /// (day, shop, ...).
    pub(super) fn new(seed: u64, subject: &str, instance: &[u64]) -> Self {
        let start = subject
            .bytes()
            .fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
        let state = instance
            .iter()
            .fold(start, |state, part| mix(state ^ mix(*part)));
        Stream(Pcg64Mcg::new(
            (u128::from(mix(state)) << 64) | u128::from(state),
        ))
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [0, `bound`); 0 where `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `values`, all equally likely.
    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// The position in `weights` chosen in proportion to them.
    pub(super) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (position, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return position;
            }
        }
        weights.len() - 1
    }

    /// How often `chance(probability)` fails to stop, at most `most`.
    pub(super) fn repeats(&mut self, probability: f64, most: u32) -> u32 {
        let mut count = 0;
        while count < most && self.chance(probability) {
            count += 1;
        }
        count
    }

    /// Log-normal: `median` times e to the power of a normal number of deviation `sigma`.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let normal = radius * libm::cos(2.0 * std::f64::consts::PI * self.unit());
        median * libm::exp(sigma * normal)
    }

    /// Poisson, by Knuth's multiplication: meant for small means.
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        let limit = libm::exp(-mean);
        let mut product = self.unit();
        let mut count = 0;
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// A whole number with the mean `expected`.
    pub(super) fn rounded(&mut self, expected: f64) -> u64 {
        (expected + self.unit()) as u64
    }

    /// A position below `bound` where small ones are far more likely (density ~ x^-2/3).
    pub(super) fn popular(&mut self, bound: u64) -> u64 {
        let u = self.unit();
        ((u * u * u * bound as f64) as u64).min(bound.saturating_sub(1))
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring numbers become unrelated
/// ones.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_its_published_first_values() {
        // Reference output of SplitMix64 for the seed 1234567.
        let gamma = 0x9E37_79B9_7F4A_7C15u64;
        assert_eq!(mix(1234567), 6457827717110365317);
        assert_eq!(mix(1234567u64.wrapping_add(gamma)), 3203168211198807973);
    }

    #[test]
    fn streams_of_neighbouring_shops_days_and_subjects_differ() {
        let first =
            |subject: &str, instance: &[u64]| Stream::new(7, subject, instance).below(u64::MAX);
        let all = [
            first("a", &[1, 2]),
            first("a", &[2, 1]),
            first("a", &[1, 3]),
            first("b", &[1, 2]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(first("a", &[1, 2]), first("a", &[1, 2]));
    }

    #[test]
    fn draws_have_the_mean_that_their_name_promises() {
        let mut stream = Stream::new(1, "means", &[]);
        let n = 20_000;
        let mut mean = |draw: &dyn Fn(&mut Stream) -> f64| {
            (0..n).map(|_| draw(&mut stream)).sum::<f64>() / f64::from(n)
        };
        assert!((mean(&|s| s.unit()) - 0.5).abs() < 0.01);
        assert!((mean(&|s| f64::from(s.poisson(2.5))) - 2.5).abs() < 0.05);
        assert!((mean(&|s| s.rounded(0.3) as f64) - 0.3).abs() < 0.02);
        // E[log-normal] = median * exp(sigma^2 / 2)
        assert!((mean(&|s| s.log_normal(10.0, 0.5)) - 11.33).abs() < 0.2);
        // E[u^3] = 1/4
        assert!((mean(&|s| s.popular(1000) as f64) - 249.5).abs() < 8.0);
    }
}
