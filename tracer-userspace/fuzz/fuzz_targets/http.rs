#![no_main]
//! See [`llmtap_fuzz::http`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::http::run(data));
