//! The finders on files that hold no TLS library: they refuse.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use llmtap::discover::inspect;

/// Files that a system has, among them its largest programs and libraries.
const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu"];
const WANTED: usize = 40;
/// Fewer of them say nothing.
const LEAST: usize = 30;

/// What every TLS library that llmtap finds without symbols has in its bytes, and those with symbols
/// by their names.
const MARKS: [&[u8]; 7] = [
    b"ssl_lib.c",
    b"s3_pkt.c",
    b"SSL_read",
    b"gnutls_record_recv",
    b"SSL_ImportFD",
    b"crypto/tls",
    b"rustls",
];

fn is_stripped_program(bytes: &[u8], file: &Path) -> Result<bool> {
    if !bytes.starts_with(b"\x7fELF\x02") {
        return Ok(false);
    }
    let sections = Command::new("readelf").args(["-SW"]).arg(file).output();
    let sections = sections.context("can't start readelf")?.stdout;
    Ok(!String::from_utf8_lossy(&sections).contains(".symtab"))
}

/// The largest stripped files without a mark of TLS, by size.
fn unrelated() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            if about.is_file() {
                files.push((about.len(), path));
            }
        }
    }
    files.sort();
    let mut found = Vec::new();
    for (_, path) in files.into_iter().rev() {
        let bytes = fs::read(&path)?;
        let has = |mark: &[u8]| memchr::memmem::find(&bytes, mark).is_some();
        if is_stripped_program(&bytes, &path)? && !MARKS.into_iter().any(has) {
            found.push(path);
        }
        if found.len() == WANTED {
            break;
        }
    }
    Ok(found)
}

#[test]
fn unrelated_stripped_files_are_refused() -> Result<()> {
    let files = unrelated()?;
    ensure!(files.len() >= LEAST, "only {} files", files.len());
    for path in files {
        let target = inspect(File::open(&path)?, &path)?;
        let findings = target.map(|target| target.findings).unwrap_or_default();
        ensure!(findings.is_empty(), "{}: {findings:#?}", path.display());
    }
    Ok(())
}
