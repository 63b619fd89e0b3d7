//! Whether each chosen site is the first byte of an instruction, by another disassembler than llmtap's.
//! Takes a target; gives an error that names the site where it is not.
//!
//! Begun anywhere, a disassembly of x86 falls into step with the true one after some instructions. From
//! several places far before a site, all have to have an instruction there.

use std::{fs, os::unix::fs::FileExt as _, process::Command};

use anyhow::{Context, Result, ensure};
use llmtap::discover::Target;

/// Bytes before a site at which a disassembly begins; none is a multiple of another.
const BEFORE: [u64; 4] = [1021, 509, 257, 131];
/// Bytes of the site's own instruction, at most (Intel SDM, volume 2, §2.3.11), and one more.
const OWN: usize = 16;

pub(super) fn check(target: &Target) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let code = folder.path().join("code");
    for site in target.sites().chain(&target.linker) {
        let most = BEFORE[0].min(site.offset);
        let mut bytes = vec![0; usize::try_from(most)? + OWN];
        target.file.read_exact_at(&mut bytes, site.offset - most)?;
        fs::write(&code, &bytes)?;
        for before in BEFORE.map(|before| before.min(most)) {
            let output = Command::new("objdump")
                .args(["-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn"])
                .arg(format!("--start-address={}", most - before))
                .arg(&code)
                .output()
                .context("can't start objdump")?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let listing = String::from_utf8_lossy(&output.stdout).into_owned();
            let start = format!("{most:x}:");
            let line = listing.lines().map(str::trim_start).find(|line| line.starts_with(&start));
            ensure!(
                line.is_some_and(|line| !line.contains("(bad)")),
                "{}: {site:?} is no instruction: {line:?}",
                target.path.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use super::*;

    fn target(change: impl Fn(u64) -> u64) -> Option<Target> {
        let path = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3");
        let file = File::open(path).ok()?;
        let mut target = llmtap::discover::inspect(file, path).unwrap().unwrap();
        for site in target.findings.iter_mut().flat_map(|finding| &mut finding.sites) {
            site.offset = change(site.offset);
        }
        Some(target)
    }

    /// A byte further is the middle of an instruction, at one of the sites at least.
    #[test]
    fn middle_of_an_instruction_is_told() {
        let Some(right) = target(|offset| offset) else {
            println!("not run: no OpenSSL");
            return;
        };
        check(&right).unwrap();
        assert!(check(&target(|offset| offset + 1).unwrap()).is_err());
    }
}
