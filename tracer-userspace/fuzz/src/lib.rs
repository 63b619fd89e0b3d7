//! Fuzz targets: one module each, with what it checks, its seeds and its worst cases.
//! Takes the fuzzer's bytes; panics where a promise of the parsers does not hold.
//! `cargo xtask fuzz` runs them, docs/fuzzing.md tells more.

pub mod calls;
pub mod coding;
pub mod elf;
pub mod events;
pub mod h2;
pub mod http;
pub mod inputs;
pub mod meter;
pub mod pcap;
pub mod recording;
pub mod records;
pub mod script;
pub mod split;
pub mod websocket;
pub mod wire;

pub use inputs::Input;

/// A target, for those who go through all of them.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Input>,
    pub worst: fn() -> Vec<Input>,
}

macro_rules! targets {
    ($($name:ident),*) => {
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name::run,
            seeds: $name::seeds,
            worst: $name::worst,
        }),*];
    };
}

targets!(calls, coding, elf, events, h2, http, pcap, recording, records, websocket);
