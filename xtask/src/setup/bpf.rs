//! The compiler and linker for the kernel side.
//! Takes the workspace; gives a [`Toolchain`] that is ready to build for `bpfel-unknown-none`.
//! Two routes: Debian's compiler, which has a `core` for BPF; else rustup's nightly, which builds one.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::system;
use crate::{step, workspace::Workspace};

/// Debian's compiler, which installs beside rustup's.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// The LLVM of Debian's compiler; bpf-linker must understand the bitcode that the compiler writes.
const LLVM: &str = "22";
const LINKER_VERSION: &str = "0.13.0";
const TARGET: &str = "bpfel-unknown-none";

/// Clippy for the kernel side, on the host: its own target's compiler has no clippy.
pub(crate) const CLIPPY: [&str; 9] = [
    "clippy",
    "--package",
    "tracer-ebpf",
    "--bin=llmtap-bpf",
    "--features=programs",
    "--config=profile.dev.panic=\"abort\"",
    "--",
    "-D",
    "warnings",
];

/// A compiler and a linker that fit together.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) enum Compiler {
    /// A compiler with a prebuilt `core` for BPF.
    System(PathBuf),
    /// rustup's nightly with `rust-src`.
    Nightly,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.compiler {
            Compiler::System(rustc) => write!(f, "{}", rustc.display())?,
            Compiler::Nightly => write!(f, "rustup nightly")?,
        }
        write!(f, " with {}", self.linker.display())
    }
}

impl Toolchain {
    /// A `cargo build` for the BPF target that can be given a package and features.
    pub(crate) fn cargo_build(&self, workspace: &Workspace) -> Command {
        let mut cargo = match &self.compiler {
            Compiler::System(rustc) => {
                let mut cargo = workspace.cargo();
                // The target is a tier 3 one: its flags and its prebuilt `core` count as unstable.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").arg("build");
                cargo
            }
            Compiler::Nightly => {
                // Through rustup: the `cargo` that runs us belongs to another toolchain.
                let mut rustup = Command::new("rustup");
                rustup
                    .current_dir(workspace.root())
                    .env_remove("RUSTC")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .args(["run", "nightly", "cargo", "build", "-Z", "build-std=core"]);
                rustup
            }
        };
        crate::workspace::forget_own_package(&mut cargo);
        let flags = [
            format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
            "-Cdebuginfo=2".to_owned(),
            format!("-Clinker={}", self.linker.display()),
            "-Clink-arg=--btf".to_owned(),
            // Keeping copies in one order also turns off LLVM's own expansion of `memset`, which
            // then becomes a call that the BPF target does not have.
            "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
        ];
        cargo
            .args(["--target", TARGET])
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        cargo
    }

    /// Where below its target folder the build puts what it made, for `profile`.
    pub(crate) fn output(profile: &str) -> PathBuf {
        Path::new(TARGET).join(profile)
    }
}

/// Finds a toolchain, or installs one.
///
/// # Errors
/// None is there and none could be installed.
pub(crate) fn ready(workspace: &Workspace) -> Result<Toolchain> {
    let compiler = compiler(workspace)?;
    let linker = linker(workspace, &compiler)?;
    Ok(Toolchain { compiler, linker })
}

fn compiler(workspace: &Workspace) -> Result<Compiler> {
    if system_core() {
        return Ok(Compiler::System(SYSTEM_RUSTC.into()));
    }
    if nightly_source() {
        return Ok(Compiler::Nightly);
    }
    if system::available(workspace, "libstd-rust-web-dev-bpf") {
        system::packages(workspace, &["rustc-web", "libstd-rust-web-dev-bpf", "rust-web-llvm"])?;
        if system_core() {
            return Ok(Compiler::System(SYSTEM_RUSTC.into()));
        }
    }
    if system::program("rustup").is_none() {
        bail!(
            "there is no compiler for the kernel side: neither Debian's rustc-web (Debian 12 or \
             later) nor rustup. Install rustup (https://rustup.rs), then run this again"
        );
    }
    step::run(
        workspace,
        "rustup-nightly",
        "installing Rust nightly with rust-src (for the kernel side)",
        Command::new("rustup").args([
            "toolchain",
            "install",
            "nightly",
            "--profile=minimal",
            "--component=rust-src",
        ]),
    )?;
    Ok(Compiler::Nightly)
}

/// Whether the system's compiler has a `core` for BPF.
fn system_core() -> bool {
    let Some(sysroot) = step::answer(Command::new(SYSTEM_RUSTC).args(["--print", "sysroot"]))
    else {
        return false;
    };
    let library = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
    fs::read_dir(library).is_ok_and(|mut files| files.next().is_some())
}

fn nightly_source() -> bool {
    step::answer(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]))
        .is_some_and(|sysroot| {
            Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir()
        })
}

fn linker(workspace: &Workspace, compiler: &Compiler) -> Result<PathBuf> {
    let tools = workspace.target("tools");
    let own = tools.join("bin/bpf-linker");
    if let Some(found) = [Some(own.clone()), system::program("bpf-linker")]
        .into_iter()
        .flatten()
        .find(|linker| suitable(linker))
    {
        return Ok(found);
    }
    let mut cargo = workspace.cargo();
    cargo.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--root"]);
    cargo.arg(&tools).env("CARGO_TARGET_DIR", workspace.target("tools-build"));
    if matches!(compiler, Compiler::System(_)) {
        let llvm = [format!("llvm-{LLVM}-dev"), format!("libpolly-{LLVM}-dev")];
        system::packages(workspace, &[&llvm[0], &llvm[1], "zlib1g-dev", "libzstd-dev", "g++"])?;
        cargo.env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"));
        cargo.args(["--no-default-features", "--features", &format!("llvm-{LLVM}")]);
    }
    step::run(workspace, "bpf-linker", "building bpf-linker (about a minute)", &mut cargo)
        .context("bpf-linker needs the LLVM development files of the compiler's LLVM version")?;
    // Its intermediate files are of no further use; failing to remove them harms nothing.
    let _ = fs::remove_dir_all(workspace.target("tools-build"));
    Ok(own)
}

/// The exact version only: what it does with debug information has changed between releases.
fn suitable(linker: &Path) -> bool {
    step::answer(Command::new(linker).arg("--version"))
        .is_some_and(|version| version.split_whitespace().last() == Some(LINKER_VERSION))
}
