#![no_main]
//! See [`llmtap_fuzz::records`].

use llmtap_fuzz::{inputs, records};

libfuzzer_sys::fuzz_target!(init: inputs::write("records"), |data: &[u8]| records::run(data));
