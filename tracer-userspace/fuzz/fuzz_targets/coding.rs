#![no_main]
//! See [`llmtap_fuzz::coding`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::coding::run(data));
