#![no_main]
//! See [`llmtap_fuzz::h2`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::h2::run(data));
