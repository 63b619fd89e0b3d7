//! Tells the compiler where the BPF object is that goes into `llmtap`.
//! Takes `LLMTAP_BPF_OBJECT`, else the place where `cargo xtask build` puts it.
//! Builds nothing: the kernel side has a toolchain of its own.

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    println!("cargo:rerun-if-env-changed=LLMTAP_BPF_OBJECT");
    println!("cargo:rerun-if-env-changed=CARGO_TARGET_DIR");
    let object = match env::var_os("LLMTAP_BPF_OBJECT") {
        Some(path) => PathBuf::from(path),
        None => target_folder().join("bpf/llmtap.bpf.o"),
    };
    println!("cargo:rerun-if-changed={}", object.display());
    if !object.is_file() {
        eprintln!(
            "There is no BPF object at {}. `cargo xtask build` builds it (and installs the \
             compiler for it); LLMTAP_BPF_OBJECT can name one that was built elsewhere.",
            object.display()
        );
        return ExitCode::FAILURE;
    }
    println!("cargo:rustc-env=LLMTAP_BPF_OBJECT={}", object.display());
    ExitCode::SUCCESS
}

fn target_folder() -> PathBuf {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package.parent().map_or_else(PathBuf::new, PathBuf::from);
    match env::var_os("CARGO_TARGET_DIR") {
        // A relative one is relative to where cargo was called, which a build script can't see.
        Some(folder) => workspace.join(folder),
        None => workspace.join("target"),
    }
}
