//! System packages and the programs that they bring.
//! Takes names; installs what is missing with apt-get, as root or through sudo.
//! On a system without apt-get it says what is missing instead.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::stamp;
use crate::{step, workspace::Workspace};

/// Folders with system programs that a user's PATH may lack.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Where a program is, on PATH or in the system's own folders.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Installs the packages of those programs that are not there. `wanted`: program, its package.
///
/// # Errors
/// As [`packages`].
pub(super) fn tools(workspace: &Workspace, wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(name, _)| program(name).is_none())
        .map(|(_, package)| *package)
        .collect();
    install(workspace, &missing)
}

/// Installs those of the packages that are not installed.
///
/// # Errors
/// There is no apt-get, no right to use it, or it failed.
pub(super) fn packages(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let missing: Vec<_> = names.iter().copied().filter(|name| !installed(name)).collect();
    install(workspace, &missing)
}

pub(super) fn has_apt() -> bool {
    program("apt-get").is_some()
}

/// Whether apt-get could install the package; asks the archives again when it is unknown.
pub(super) fn available(workspace: &Workspace, name: &str) -> bool {
    has_apt() && (known(name) || (update(workspace).is_ok() && known(name)))
}

/// The newest version of a package that the archives have, whatever is installed.
pub(super) fn offered(name: &str) -> Option<String> {
    all_offered(name).into_iter().next()
}

/// Every version of a package that the archives have, the newest first.
pub(super) fn all_offered(name: &str) -> Vec<String> {
    let table = step::answer(Command::new("apt-cache").args(["madison", name]));
    // `name | version | archive`
    let version = |line: &str| Some(line.split('|').nth(1)?.trim().to_owned());
    let mut versions: Vec<_> =
        table.iter().flat_map(|table| table.lines()).filter_map(version).collect();
    versions.dedup();
    versions
}

/// The version of an installed package.
pub(super) fn version(name: &str) -> Option<String> {
    step::answer(Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]))
}

fn installed(name: &str) -> bool {
    step::answer(Command::new("dpkg-query").args(["-W", "-f", "${Status}", name]))
        .is_some_and(|status| status == "install ok installed")
}

fn known(name: &str) -> bool {
    step::answer(Command::new("apt-cache").args(["show", "--no-all-versions", name]))
        .is_some_and(|text| !text.is_empty())
}

/// Packages of the archives, as `package=version`, unpacked into a folder.
pub(super) fn unpacked(workspace: &Workspace, folder: &Path, wanted: &[String]) -> Result<()> {
    let list = wanted.join(" ");
    if stamp::fits(folder, &list) {
        return Ok(());
    }
    emptied(folder)?;
    let script = format!(
        "set -e; apt-get download {list}; for one in *.deb; do dpkg -x \"$one\" .; done; rm *.deb"
    );
    step::run(
        workspace,
        &format!("unpack-{}", wanted[0].replace(['=', ':'], "-")),
        &format!("unpacking {list}"),
        Command::new("sh").args(["-c", &script]).current_dir(folder),
    )?;
    stamp::set(folder, &list)
}

/// A folder with nothing in it, made anew.
pub(super) fn emptied(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("can't replace {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))
}

fn install(workspace: &Workspace, missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !has_apt() {
        bail!(
            "{list} missing, and this system has no apt-get: install the packages that your \
             system calls by other names, then run this again"
        );
    }
    if !missing.iter().all(|name| known(name)) {
        update(workspace)?;
    }
    step::run(
        workspace,
        "apt-install",
        &format!("installing system packages: {list}"),
        as_root("apt-get")?.args(["install", "--yes", "--no-install-recommends"]).args(missing),
    )
}

fn update(workspace: &Workspace) -> Result<()> {
    step::run(
        workspace,
        "apt-update",
        "asking the system's archives what they have",
        as_root("apt-get")?.arg("update"),
    )
}

/// A command that runs as root: directly where we are root, else through sudo.
///
/// # Errors
/// We are not root and there is no sudo.
pub(crate) fn as_root(program_name: impl AsRef<OsStr>) -> Result<Command> {
    let name = program_name.as_ref();
    if is_root() {
        return Ok(Command::new(name));
    }
    if program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg("--").arg(name);
        return Ok(sudo);
    }
    bail!(
        "{} needs root, and there is no sudo: run this as root, or install sudo",
        name.to_string_lossy()
    )
}

/// Whether this process has root's rights.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
