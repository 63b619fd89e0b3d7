#![no_main]
//! See [`llmtap_fuzz::h2`].

use llmtap_fuzz::{h2, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("h2"), |data: &[u8]| h2::run(data));
