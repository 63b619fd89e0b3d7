#![no_main]
//! See [`llmtap_fuzz::events`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::events::run(data));
