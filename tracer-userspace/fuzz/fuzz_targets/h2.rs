//! See [`llmtap_fuzz::h2`].
#![no_main]

use llmtap_fuzz::{h2, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("h2", h2::seeds, h2::worst), |data: &[u8]| h2::run(data));
