//! The one integration test binary: everything here drives the program through its command line.

mod oracle;
mod world;
