//! See [`llmtap_fuzz::http`].
#![no_main]

use llmtap_fuzz::{http, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("http", http::seeds, http::worst), |data: &[u8]| http::run(data));
