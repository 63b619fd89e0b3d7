#![no_main]
//! See [`llmtap_fuzz::elf`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::elf::run(data));
