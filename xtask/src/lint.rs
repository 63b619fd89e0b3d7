//! Formatting, lints and house rules, all of them before it fails.
//! Takes the workspace; warnings are errors, for the kernel side too.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    build,
    setup::{self, bpf},
    step, tidy,
    workspace::Workspace,
};

/// # Errors
/// Something is not as it should be; all of it has been printed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    components(workspace)?;
    setup::openssl(workspace)?;
    // The build script of tracer-userspace wants the object to be there.
    build::object(workspace)?;
    let mut failed = Vec::new();
    let mut check = |what: &'static str, arguments: &[&str]| {
        eprintln!("• {what}: cargo {}", arguments.join(" "));
        if step::show(what, workspace.cargo().args(arguments)).is_err() {
            failed.push(what);
        }
    };
    check("formatting", &["fmt", "--all", "--check"]);
    check("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    check("lints of the kernel side", &bpf::CLIPPY);
    eprintln!("• house rules");
    if let Err(error) = tidy::run(workspace) {
        eprintln!("{error:#}");
        failed.push("house rules");
    }
    if !failed.is_empty() {
        bail!("not in order: {}", failed.join(", "));
    }
    Ok(())
}

/// rustfmt and clippy, which a minimal toolchain lacks.
fn components(workspace: &Workspace) -> Result<()> {
    let mut missing = Vec::new();
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if step::answer(workspace.cargo().args([command, "--version"])).is_none() {
            missing.push(component);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    step::run(
        workspace,
        "rustup-component",
        &format!("installing {}", missing.join(" and ")),
        Command::new("rustup").args(["component", "add"]).args(&missing),
    )
}
