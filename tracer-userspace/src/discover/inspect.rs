//! One file, inspected: which functions that we probe it holds, and where in the file they are.
//! Takes an open ELF file; gives a [`Target`] with its probe sites, or nothing to probe.
//! What a malformed file says is of no interest: it has no sites.

use std::{fs::File, io, path::Path};

use super::{FileId, Finding, Function, Image, Site, Target, site, tls};

/// The dynamic linker's debugger hook (`r_debug.r_brk`).
const LINKER_HOOK: &[u8] = b"_dl_debug_state";

/// Inspects a file. `None`: not a 64-bit ELF file of this machine, or nothing in it to probe.
pub fn inspect(file: File, path: &Path) -> io::Result<Option<Target>> {
    with(file, path, |image, _| tls::find(image))
}

/// The same, with findings of another source.
pub(super) fn with(
    file: File,
    path: &Path,
    find: impl FnOnce(&Image<'_>, &File) -> Vec<Finding>,
) -> io::Result<Option<Target>> {
    let id = FileId::of(&file)?;
    let Some(image) = Image::read(&file) else { return Ok(None) };
    let findings = find(&image, &file);
    let linker = linker_hook(&image);
    let target = Target { id, file, path: path.to_owned(), findings, linker };
    Ok((target.is_tls() || target.is_linker()).then_some(target))
}

fn linker_hook(image: &Image<'_>) -> Option<Site> {
    let mut hook = None;
    image.each_function(&mut |symbol| {
        if symbol.name == LINKER_HOOK && hook.is_none() {
            hook = site::at_entry(image, Function::LibrariesChanged, symbol.address);
        }
    });
    hook
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn inspect_bytes(bytes: &[u8]) -> Option<Target> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        inspect(file, Path::new("test")).unwrap()
    }

    #[test]
    fn hostile_files_have_no_sites() {
        assert!(inspect_bytes(b"").is_none());
        assert!(inspect_bytes(b"\x7fELF").is_none());
        assert!(inspect_bytes(&[0xff; 4096]).is_none());
        let mut cut = std::fs::read("/proc/self/exe").unwrap();
        for keep in [16, 63, 64, 100, 1000, cut.len() / 2] {
            let _ = inspect_bytes(&cut[..keep]);
        }
        // Section headers that point everywhere.
        for byte in cut.iter_mut().skip(32).take(24) {
            *byte = 0xff;
        }
        assert!(inspect_bytes(&cut).is_none());
    }

    /// Debian's OpenSSL 3.0, where it is there: `SSL_read_ex` is `sub $8,%rsp; call`.
    #[test]
    fn shared_function_of_a_real_library_is_found() {
        let path = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3");
        let Ok(file) = File::open(path) else {
            println!("not run: no {}", path.display());
            return;
        };
        let target = inspect(file, path).unwrap().unwrap();
        assert!(target.is_tls() && !target.is_linker());
        // One site serves both forms, or each form has its own.
        for (plain, ex) in
            [(Function::SslRead, Function::SslReadEx), (Function::SslWrite, Function::SslWriteEx)]
        {
            let [finding] = &target.findings[..] else { panic!("one library in one file") };
            assert!(finding.has(ex));
            let shared = !finding.has(plain);
            let offset = finding.sites.iter().find(|site| site.function == ex).unwrap().offset;
            let mut first = [0; 2];
            std::os::unix::fs::FileExt::read_exact_at(&target.file, &mut first, offset).unwrap();
            let push = matches!(first, [0x50..=0x57, _] | [0x41, 0x50..=0x57]);
            assert!(!shared || push, "{first:x?}");
        }
    }

    #[test]
    fn unrelated_program_is_no_target() {
        let file = File::open("/bin/sh").unwrap();
        assert!(inspect(file, Path::new("/bin/sh")).unwrap().is_none());
    }
}
