#![no_main]
//! See [`llmtap_fuzz::records`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::records::run(data));
