#![no_main]
//! See [`llmtap_fuzz::http`].

use llmtap_fuzz::{http, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("http"), |data: &[u8]| http::run(data));
