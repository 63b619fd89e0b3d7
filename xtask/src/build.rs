//! Builds the BPF object and `llmtap`.
//! Takes the toolchain from `setup`; gives `<target>/bpf/llmtap.bpf.o` and the binary's path.
//! The object is replaced only when it differs, so that userspace isn't built again for nothing.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    setup::bpf::{self, Toolchain},
    step,
    workspace::Workspace,
};

/// Cargo profile of the kernel side, see the workspace's `Cargo.toml`.
const BPF_PROFILE: &str = "bpf";
const BPF_BINARY: &str = "llmtap-bpf";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Optimised
    #[arg(long)]
    release: bool,
}

/// # Errors
/// The toolchain could not be set up, or the sources do not compile.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let binary = llmtap(workspace, arguments.release)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds the kernel side and puts it where the build of `tracer-userspace` looks for it.
///
/// # Errors
/// As [`run`].
pub(crate) fn object(workspace: &Workspace) -> Result<()> {
    let toolchain = bpf::ready(workspace)?;
    let folder = workspace.target("bpf-build");
    step::show(
        "the build of the BPF object",
        toolchain
            .cargo_build(workspace)
            .args(["--package", "tracer-ebpf", "--bin", BPF_BINARY, "--features", "programs"])
            .args(["--profile", BPF_PROFILE, "--target-dir"])
            .arg(&folder),
    )?;
    let built = folder.join(Toolchain::output(BPF_PROFILE)).join(BPF_BINARY);
    let bytes = fs::read(&built).with_context(|| format!("can't read {}", built.display()))?;
    let object = workspace.target("bpf/llmtap.bpf.o");
    if fs::read(&object).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(workspace.target("bpf")).context("can't make the folder of the object")?;
    fs::write(&object, bytes).with_context(|| format!("can't write {}", object.display()))
}

/// Builds the kernel side and `llmtap`; gives the path of the binary.
///
/// # Errors
/// As [`run`].
pub(crate) fn llmtap(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    object(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "tracer-userspace", "--bin", "llmtap"]);
    if release {
        cargo.arg("--release");
    }
    step::show("the build of llmtap", &mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    Ok(workspace.target(profile).join("llmtap"))
}
