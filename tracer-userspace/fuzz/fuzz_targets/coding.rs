#![no_main]
//! See [`llmtap_fuzz::coding`].

use llmtap_fuzz::{coding, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("coding"), |data: &[u8]| coding::run(data));
