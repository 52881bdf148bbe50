//! The one integration test binary: everything here drives the program through its command line.

mod bad_input;
mod cases;
mod docs;
mod fuzzed;
mod help;
mod oracle;
mod places;
mod properties;
mod random_worlds;
mod staleness;
mod world;
