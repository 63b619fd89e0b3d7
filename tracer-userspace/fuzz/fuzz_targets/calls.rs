#![no_main]
//! See [`llmtap_fuzz::calls`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::calls::run(data));
