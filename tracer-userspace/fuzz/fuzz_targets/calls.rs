#![no_main]
//! See [`llmtap_fuzz::calls`].

use llmtap_fuzz::{calls, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("calls"), |data: &[u8]| calls::run(data));
