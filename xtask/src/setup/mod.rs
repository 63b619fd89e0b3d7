//! Installs what the other commands need, each thing once: an installed thing costs a few `stat` calls.
//! Takes the workspace; gives the paths of what was found or installed.
//! System packages need root (or sudo); everything else goes into the target folder.

pub(crate) mod bpf;
pub(crate) mod fuzzer;
pub(crate) mod golang;
pub(crate) mod libssl;
pub(crate) mod matrix;
mod node;
mod python;
pub(crate) mod rustls;
pub(crate) mod stamp;
mod system;

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

pub(crate) use node::Node;
pub(crate) use python::Python;
pub(crate) use system::as_root;

use crate::{step, workspace::Workspace};

/// Everything that any command needs, apart from the backend that the demo may be shown in.
///
/// # Errors
/// Something could not be installed; the error says what and what to do.
pub(crate) fn everything(workspace: &Workspace) -> Result<()> {
    let toolchain = bpf::ready(workspace)?;
    println!("BPF toolchain: {toolchain}");
    println!("Python: {}", Python::ready(workspace)?.interpreter.display());
    println!("Python with SDKs: {}", Python::with_sdks(workspace)?.interpreter.display());
    println!("Node packages: {}", Node::ready(workspace)?.modules.display());
    servers(workspace)?;
    openssl(workspace)?;
    println!("nginx, openssl, tcpdump, cc: installed");
    Ok(())
}

/// The browser that takes pictures of a backend's page; gives its program.
///
/// # Errors
/// As [`everything`].
pub(crate) fn browser(workspace: &Workspace) -> Result<PathBuf> {
    system::tools(workspace, &[("chromium", "chromium")])?;
    system::program("chromium").context("the package chromium brought no `chromium`")
}

/// The TLS front, the tool that makes certificates, and a C compiler for test programs.
///
/// # Errors
/// As [`everything`].
pub(crate) fn servers(workspace: &Workspace) -> Result<()> {
    system::tools(
        workspace,
        &[
            ("nginx", "nginx-light"),
            ("openssl", "openssl"),
            ("tcpdump", "tcpdump"),
            ("cc", "gcc"),
            ("ar", "binutils"),
        ],
    )
}

/// OpenSSL to build with: the tests' own client in Rust is linked to the system's.
///
/// # Errors
/// As [`everything`].
pub(crate) fn openssl(workspace: &Workspace) -> Result<()> {
    match step::answer(Command::new("pkg-config").args(["--exists", "openssl"])) {
        Some(_) => Ok(()),
        None => system::packages(workspace, &["pkg-config", "libssl-dev"]),
    }
}
