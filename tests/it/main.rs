//! The one integration test binary: everything here drives the program through its command line.

mod cases;
mod oracle;
mod properties;
mod random_worlds;
mod world;
