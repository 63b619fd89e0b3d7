//! The rows: every program that is traced, its TLS library, and the work that it can do.
//! One row is one test of `traced_matrix.rs` and one line of `docs/tls-coverage.md`; the program is
//! installed by `xtask/src/setup/matrix.rs` under the same name.

use super::{
    agent::{self, Agent},
    clients::{self, Client},
    gateways::{self, Gateway},
};
use crate::mixed::Protocol::{self, Http1, Http2};

pub struct Row {
    pub name: &'static str,
    /// For people.
    pub(super) program: &'static str,
    /// The TLS library and how the program has it.
    pub(super) stack: &'static str,
    pub(super) work: Work,
    pub(super) protocols: &'static [Protocol],
}

/// What a row does.
#[derive(Clone, Copy)]
pub(super) enum Work {
    /// It makes the calls of a job.
    Client(Client),
    /// The same through a proxy, by CONNECT.
    Tunnelled(Client),
    /// It stands between a client and the server, with TLS on both sides.
    Gateway(Gateway),
    /// It calls by gRPC, whose server is another.
    Grpc,
    /// It is given a task for which it calls a model.
    Agent(Agent),
    /// It can't be had or is not found: `cargo xtask` says why.
    Absent,
}

const fn client(
    name: &'static str,
    program: &'static str,
    stack: &'static str,
    protocols: &'static [Protocol],
    client: Client,
) -> Row {
    Row { name, program, stack, work: Work::Client(client), protocols }
}

/// BoringSSL without symbols, in one of several versions: the finder was written from others.
const fn stripped(
    name: &'static str,
    program: &'static str,
    protocols: &'static [Protocol],
    work: Work,
) -> Row {
    Row { name, program, stack: "BoringSSL, stripped", work, protocols }
}

/// rustls without symbols, in one of several versions: the finder was written from one.
const fn codex(name: &'static str) -> Row {
    let (program, stack) = ("Codex", "rustls, stripped, static");
    Row { name, program, stack, work: Work::Agent(agent::CODEX), protocols: H1 }
}

const fn absent(name: &'static str, program: &'static str, stack: &'static str) -> Row {
    Row { name, program, stack, work: Work::Absent, protocols: &[] }
}

const H1: &[Protocol] = &[Http1];
const BOTH: &[Protocol] = &[Http1, Http2];

pub const ROWS: [Row; 41] = [
    client("cpython", "CPython, `http.client`", "OpenSSL 3, shared", H1, clients::cpython),
    client("curl", "curl", "OpenSSL 3, shared", BOTH, clients::curl),
    Row {
        name: "tunnel",
        program: "curl through CONNECT",
        stack: "OpenSSL 3, shared",
        work: Work::Tunnelled(clients::curl),
        protocols: BOTH,
    },
    client("node", "Node as the system has it", "OpenSSL 3", BOTH, clients::node),
    client("node_wheel", "Node as PyPI has it", "OpenSSL 3, static", BOTH, clients::node),
    client("node_16", "Node 16", "OpenSSL 1.1.1, static", BOTH, clients::node),
    client("node_debian", "Node as Debian has it", "OpenSSL 3, shared", BOTH, clients::node_debian),
    Row {
        name: "nginx",
        program: "nginx, server and client",
        stack: "OpenSSL 3, shared",
        work: Work::Gateway(gateways::nginx),
        protocols: BOTH,
    },
    absent("python_standalone", "python-build-standalone", "OpenSSL 3, static"),
    client("ruby", "Ruby, `Net::HTTP`", "OpenSSL 3, shared", H1, clients::ruby),
    client("php", "PHP, streams", "OpenSSL 3, shared", H1, clients::php),
    client("perl", "Perl, `HTTP::Tiny`", "OpenSSL 3, shared", H1, clients::perl),
    client("curl_cffi", "curl_cffi", "BoringSSL with symbols", BOTH, clients::curl_cffi),
    client("bun", "Bun, `fetch` and `node:http2`", "BoringSSL, stripped", BOTH, clients::bun),
    stripped("bun_1_2_23", "Bun", BOTH, Work::Client(clients::bun)),
    stripped("bun_1_3_9", "Bun", BOTH, Work::Client(clients::bun)),
    stripped("bun_1_4_3", "Bun", BOTH, Work::Client(clients::bun)),
    stripped("grpcio", "grpcio", &[Http2], Work::Grpc),
    stripped("grpcio_1_71_2", "grpcio", &[Http2], Work::Grpc),
    stripped("grpcio_1_78_2", "grpcio", &[Http2], Work::Grpc),
    stripped("grpcio_1_85_3", "grpcio", &[Http2], Work::Grpc),
    stripped("claude_code", "Claude Code", H1, Work::Agent(agent::CLAUDE_CODE)),
    stripped("claude_code_2_1_129", "Claude Code", H1, Work::Agent(agent::CLAUDE_CODE)),
    stripped("claude_code_2_1_248", "Claude Code", H1, Work::Agent(agent::CLAUDE_CODE)),
    stripped("claude_code_2_1_332", "Claude Code", H1, Work::Agent(agent::CLAUDE_CODE)),
    client("go", "Go, `net/http`", "crypto/tls", BOTH, clients::go),
    Row {
        name: "caddy",
        program: "Caddy, server and client",
        stack: "crypto/tls",
        work: Work::Gateway(gateways::caddy),
        protocols: BOTH,
    },
    client("primp", "primp", "rustls and aws-lc, stripped", &[Http2], clients::primp),
    absent("hf_xet", "hf-xet", "rustls and aws-lc, with symbols"),
    codex("codex"),
    codex("codex_0_165_0"),
    codex("codex_0_159_3"),
    codex("codex_0_171_0"),
    client("wget", "wget", "GnuTLS, shared", H1, clients::wget),
    client("libcurl_gnutls", "libcurl over GnuTLS", "GnuTLS, shared", BOTH, clients::libcurl),
    client("tstclnt", "tstclnt", "NSS, shared", H1, clients::tstclnt),
    client("libcurl_nss", "libcurl over NSS", "NSS, shared", BOTH, clients::libcurl),
    client("netty_tcnative", "Java, netty-tcnative", "OpenSSL 3, shared", H1, clients::netty),
    absent("conscrypt", "Java, Conscrypt", "BoringSSL with symbols"),
    absent("jsse", "Java's own", "JSSE"),
    Row {
        name: "kernel_tls",
        program: "nginx, `ssl_conf_command Options KTLS`",
        stack: "OpenSSL 3 and the kernel",
        work: Work::Gateway(gateways::nginx_in_kernel),
        protocols: H1,
    },
];

impl Row {
    /// The row of that name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }
}
