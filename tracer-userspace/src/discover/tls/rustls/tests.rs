use std::{fs::File, path::Path};

use super::{
    sample::{Flaw, file},
    *,
};

fn found_in(bytes: &[u8]) -> Option<Finding> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    find(&Image::read(&file)?)
}

fn sites_of(finding: &Finding) -> Vec<(Function, u64)> {
    finding.sites.iter().map(|site| (site.function, site.offset)).collect()
}

#[test]
fn pair_is_found_by_its_tables() {
    for (flaw, layout) in [(Flaw::None, Layout::Chunks), (Flaw::OneSlice, Layout::Slice)] {
        let (bytes, [encrypt, decrypt, at_return]) = file(flaw);
        let finding = found_in(&bytes).unwrap();
        let expected = [
            (Function::RustlsEncrypt, encrypt),
            (Function::RustlsDecrypt, decrypt),
            (Function::RustlsDecryptReturn, at_return),
        ];
        assert_eq!(sites_of(&finding), expected);
        assert_eq!(finding.basis, Basis::Inference);
        for site in &finding.sites {
            assert_eq!(RustlsSite::of(site.parameter), Some(RustlsSite { layout, added: 0x11 }));
        }
    }
}

#[test]
fn what_does_not_chain_is_refused() {
    for flaw in [
        Flaw::NoAlgorithm,
        Flaw::NoDecrypter,
        Flaw::OtherLength,
        Flaw::NoLayout,
        Flaw::TwoReturns,
        Flaw::NoSize,
    ] {
        assert_eq!(found_in(&file(flaw).0), None, "{flaw:?}");
    }
}

/// Whatever a byte becomes, a site is one of the functions'.
#[test]
fn damaged_program_gives_no_other_site() {
    let (good, places) = file(Flaw::None);
    for at in 0..good.len() {
        // Between the parts is nothing.
        if (0x200..0x1000).contains(&at) || (0x1100..0x2000).contains(&at) {
            continue;
        }
        let mut bad = good.clone();
        bad[at] ^= 0x81;
        let Some(finding) = found_in(&bad) else { continue };
        let is_moved = at < 0x200;
        for (function, place) in sites_of(&finding) {
            let known = places.contains(&place);
            assert!(known || is_moved || at >= 0x2000, "{at:#x}: {function:?} at {place:#x}");
        }
    }
}

#[test]
fn cut_program_is_refused() {
    let (good, _) = file(Flaw::None);
    for len in (0..good.len()).step_by(13) {
        assert_eq!(found_in(&good[..len]), None, "{len}");
    }
}

/// Its data at the very end of the address space; a fuzzer went beyond it.
#[test]
fn data_at_the_last_address_is_refused() {
    /// Of `e_type`, `e_phoff`, `e_phnum`; of a program header: its size, `p_flags`, `p_vaddr` (System V
    /// ABI, chapters 4 and 5).
    const TYPE: usize = 16;
    const TABLE: usize = 32;
    const COUNT: usize = 56;
    const HEADER: usize = 56;
    const FLAGS: usize = 4;
    const ADDRESS: usize = 16;
    let (mut bytes, _) = file(Flaw::None);
    bytes[TYPE] = 2;
    let table = usize::try_from(u64::from_le_bytes(bytes[TABLE..TABLE + 8].try_into().unwrap()));
    let mut moved = 0;
    for number in 0..usize::from(bytes[COUNT]) {
        let header = table.unwrap() + number * HEADER;
        if bytes[header + FLAGS] & 1 == 0 {
            bytes[header + ADDRESS..][..8].copy_from_slice(&(u64::MAX - 20).to_le_bytes());
            moved += 1;
        }
    }
    assert!(moved > 0);
    assert_eq!(found_in(&bytes), None);
}

/// Programs of the system, which are none of rustls'.
#[test]
fn unrelated_files_are_refused() {
    let mut read = 0;
    for folder in ["/usr/bin", "/usr/lib/x86_64-linux-gnu"] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let crypto =
            |path: &Path| path.to_string_lossy().contains("lib/x86_64-linux-gnu/libcrypto");
        let (first, rest): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| crypto(path));
        for path in first.into_iter().chain(rest).filter(|path| path.is_file()).take(60) {
            let Ok(file) = File::open(&path) else { continue };
            if let Some(image) = Image::read(&file) {
                read += 1;
                assert_eq!(find(&image), None, "{}", path.display());
            }
        }
    }
    if read < 30 {
        println!("only {read} files were there to be read");
    }
}

#[test]
fn table_needs_a_size_and_an_alignment() {
    let file = File::open("/proc/self/exe").unwrap();
    let image = Image::read(&file).unwrap();
    let pointers = Pointers::read(&image).unwrap();
    let mut window = Window::new(&image);
    // A slot is no size.
    let (slot, _, _) = pointers.pairs().next().unwrap();
    assert!(!is_table(&pointers, &mut window, slot - 8));
    assert!(!is_table(&pointers, &mut window, u64::MAX - 64));
}
