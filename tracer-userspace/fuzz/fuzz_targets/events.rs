//! See [`llmtap_fuzz::events`].
#![no_main]

use llmtap_fuzz::{events, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("events", events::seeds, events::worst), |data: &[u8]| events::run(data));
