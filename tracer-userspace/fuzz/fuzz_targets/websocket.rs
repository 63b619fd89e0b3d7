//! See [`llmtap_fuzz::websocket`].
#![no_main]

use llmtap_fuzz::{inputs, websocket};

libfuzzer_sys::fuzz_target!(init: inputs::write("websocket", websocket::seeds, websocket::worst), |data: &[u8]| websocket::run(data));
