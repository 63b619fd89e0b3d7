#![no_main]
//! See [`llmtap_fuzz::pcap`].

use llmtap_fuzz::{inputs, pcap};

libfuzzer_sys::fuzz_target!(init: inputs::write("pcap"), |data: &[u8]| pcap::run(data));
