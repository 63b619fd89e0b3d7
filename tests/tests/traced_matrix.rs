//! Every TLS library by a program that has it: one row, one test (`tests/src/matrix/rows.rs`).

use std::path::Path;

use anyhow::Result;
use llmtap_tests::matrix::{Programs, ROWS, run};

fn row(name: &str) -> Result<()> {
    let server = Path::new(env!("CARGO_BIN_EXE_mixed_server"));
    let client = Path::new(env!("CARGO_BIN_EXE_mixed_client"));
    run(name, Programs { server, client })
}

macro_rules! rows {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() -> Result<()> {
                row(stringify!($name))
            }
        )*
    };
}

rows! {
    cpython
    curl
    tunnel
    node
    node_wheel
    node_16
    node_debian
    nginx
    python_standalone
    ruby
    php
    perl
    curl_cffi
    bun
    bun_1_2_23
    bun_1_3_9
    bun_1_4_3
    grpcio
    grpcio_1_71_2
    grpcio_1_78_2
    grpcio_1_85_3
    claude_code
    claude_code_2_1_129
    claude_code_2_1_248
    claude_code_2_1_332
    go
    caddy
    primp
    hf_xet
    codex
    codex_0_165_0
    codex_0_159_3
    codex_0_171_0
    wget
    libcurl_gnutls
    tstclnt
    libcurl_nss
    netty_tcnative
    conscrypt
    jsse
    kernel_tls
}

#[test]
fn every_row_has_a_test() {
    let rows: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(rows, TESTED);
}
