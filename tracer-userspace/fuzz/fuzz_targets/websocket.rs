#![no_main]
//! See [`llmtap_fuzz::websocket`].

use llmtap_fuzz::{inputs, websocket};

libfuzzer_sys::fuzz_target!(init: inputs::write("websocket"), |data: &[u8]| websocket::run(data));
