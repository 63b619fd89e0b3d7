//! See [`llmtap_fuzz::coding`].
#![no_main]

use llmtap_fuzz::{coding, inputs};

libfuzzer_sys::fuzz_target!(init: inputs::write("coding", coding::seeds, coding::worst), |data: &[u8]| coding::run(data));
