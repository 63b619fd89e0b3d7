//! See [`llmtap_fuzz::records`].
#![no_main]

use llmtap_fuzz::{inputs, records};

libfuzzer_sys::fuzz_target!(init: inputs::write("records", records::seeds, records::worst), |data: &[u8]| records::run(data));
