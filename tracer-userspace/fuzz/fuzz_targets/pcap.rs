#![no_main]
//! See [`llmtap_fuzz::pcap`].

libfuzzer_sys::fuzz_target!(|data: &[u8]| llmtap_fuzz::pcap::run(data));
