#![no_main]
//! See [`llmtap_fuzz::elf`].

use llmtap_fuzz::{elf, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("elf"), |data: &[u8]| elf::run(data));
