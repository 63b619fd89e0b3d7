#![no_main]
//! See [`llmtap_fuzz::recording`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::recording::run(data));
