#![no_main]
//! See [`llmtap_fuzz::events`].

use llmtap_fuzz::{events, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("events"), |data: &[u8]| events::run(data));
