#![no_main]
//! See [`llmtap_fuzz::recording`].

use llmtap_fuzz::{inputs, recording};

libfuzzer_sys::fuzz_target!(init: inputs::write("recording"), |data: &[u8]| recording::run(data));
