use std::{fs::File, path::Path};

use super::*;

fn found(path: &Path) -> Option<Finding> {
    find(&Image::read(&File::open(path).ok()?)?)
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

#[test]
fn damaged_program_is_no_trouble() {
    let mut bytes = std::fs::read("/bin/sh").unwrap();
    for at in (64..bytes.len()).step_by(997) {
        bytes[at] ^= 0xff;
    }
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    if let Some(image) = Image::read(&file) {
        assert_eq!(find(&image), None);
    }
}
