#![no_main]
//! See [`llmtap_fuzz::websocket`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::websocket::run(data));
