//! See [`llmtap_fuzz::recording`].
#![no_main]

use llmtap_fuzz::{inputs, recording};

libfuzzer_sys::fuzz_target!(init: inputs::write("recording", recording::seeds, recording::worst), |data: &[u8]| recording::run(data));
