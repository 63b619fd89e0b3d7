//! See [`llmtap_fuzz::calls`].
#![no_main]

use llmtap_fuzz::{calls, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("calls", calls::seeds, calls::worst), |data: &[u8]| calls::run(data));
