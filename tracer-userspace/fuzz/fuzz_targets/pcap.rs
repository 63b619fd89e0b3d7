//! See [`llmtap_fuzz::pcap`].
#![no_main]

use llmtap_fuzz::{inputs, pcap};

libfuzzer_sys::fuzz_target!(init: inputs::write("pcap", pcap::seeds, pcap::worst), |data: &[u8]| pcap::run(data));
