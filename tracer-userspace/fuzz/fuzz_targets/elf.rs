//! See [`llmtap_fuzz::elf`].
#![no_main]

use llmtap_fuzz::{elf, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("elf", elf::seeds, elf::worst), |data: &[u8]| elf::run(data));
