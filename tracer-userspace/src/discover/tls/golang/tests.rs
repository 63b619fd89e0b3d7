use std::{fs::File, io::Write as _};

use super::{
    sample::{
        COPY_AT, END, Layout, NEWEST, OTHERS_AT, OUTCOME_AT, READ_AT, TABLE_OFFSET, TEXT,
        TEXT_OFFSET, code, program,
    },
    *,
};

fn found(bytes: &[u8]) -> Option<Finding> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    find(&Image::read(&file)?)
}

/// The sites, by function and their distance from the start of the code.
fn sites_of(finding: &Finding) -> Vec<(Function, u64)> {
    finding.sites.iter().map(|site| (site.function, site.offset - TEXT_OFFSET)).collect()
}

fn expected() -> Vec<(Function, u64)> {
    vec![
        (Function::GoRead, COPY_AT),
        (Function::GoRecordRead, OUTCOME_AT),
        (Function::GoWrite, OTHERS_AT + 0x14),
        (Function::GoClose, OTHERS_AT + 0x24),
        (Function::GoHandshake, OTHERS_AT + 0x34),
    ]
}

#[test]
fn every_layout_is_read() {
    for (magic, text) in [(0xfa, 0), (0xf0, TEXT), (0xf1, TEXT), (0xf1, 0)] {
        let finding = found(&program(Layout { magic, text, ..NEWEST }, &code())).unwrap();
        assert_eq!(sites_of(&finding), expected(), "{magic:x}");
        assert!(finding.sites.iter().all(|site| site.cost == crate::discover::Cost::Emulated));
    }
}

#[test]
fn file_without_sections_is_searched() {
    let layout = Layout { text: TEXT, sections: false, ..NEWEST };
    assert_eq!(sites_of(&found(&program(layout, &code())).unwrap()), expected());
}

/// Whatever a byte becomes, a site is an instruction of the function that it is of.
#[test]
fn damaged_program_gives_no_other_site() {
    let good = program(NEWEST, &code());
    for at in (0..good.len()).filter(|at| *at < 0x100 || *at >= TEXT_OFFSET as usize) {
        if (TEXT_OFFSET as usize + END as usize..TABLE_OFFSET as usize).contains(&at) {
            continue;
        }
        for flipped in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flipped;
            let Some(finding) = found(&bad) else { continue };
            for (function, place) in sites_of(&finding) {
                let known = expected().contains(&(function, place));
                // Without the call that copies, the fallback is the return: as right, and dearer.
                let known = known || (function, place) == (Function::GoReadReturn, READ_AT + 0x36);
                // What became of `ReadFrom` may be taken for another by its name.
                let named = place == OTHERS_AT + 4;
                assert!(known || named, "{at:#x} ^ {flipped:#x}: {function:?} at {place:#x}");
            }
        }
    }
}

#[test]
fn cut_program_is_refused() {
    let good = program(NEWEST, &code());
    for len in (0..good.len()).step_by(7) {
        assert!(found(&good[..len]).is_none(), "{len}");
    }
}

/// Code that does something else with the arguments or the stack.
#[test]
fn code_that_proves_nothing_is_refused() {
    let changed = |at: u64, bytes: &[u8]| {
        let mut code = code();
        code[(READ_AT + at) as usize..][..bytes.len()].copy_from_slice(bytes);
        found(&program(NEWEST, &code))
    };
    assert!(changed(0, &[0x49]).is_some());
    // The limit is compared with another register.
    assert!(changed(0, &[0x49, 0x3b, 0x5e, 0x10]).is_none());
    // Where the stack is grown does not lead back to the start.
    assert!(changed(0x41, &[0xeb, 0xbe]).is_none());
    // The frame pointer is set to something else.
    assert!(changed(0x07, &[0x48, 0x89, 0xc5]).is_none());
    // The first argument is not saved in its home, or is changed before.
    assert!(changed(0x0e, &[0x48, 0x89, 0x44, 0x24, 0x28]).is_none());
    assert!(changed(0x0e, &[0x31, 0xc0, 0x90, 0x90, 0x90]).is_none());
    // Something else is saved in the second's home later.
    assert!(changed(0x22, &[0x48, 0x89, 0x44, 0x24, 0x38]).is_none());
}

/// Without the proof of where bytes are copied, the returns are left.
#[test]
fn returns_are_probed_where_nothing_else_is_proven() {
    let mut code = code();
    // `mov %rsi,%rax` in place of the second argument's home.
    code[(READ_AT + 0x22) as usize..][..5].copy_from_slice(&[0x48, 0x89, 0xf0, 0x66, 0x90]);
    let sites = sites_of(&found(&program(NEWEST, &code)).unwrap());
    assert_eq!(sites[0], (Function::GoReadReturn, READ_AT + 0x36));
    assert_eq!(sites[1..], expected()[2..]);
    // A branch from elsewhere to behind the load.
    let mut code = self::code();
    code[(READ_AT + 0x20) as usize + 1] = 0x05;
    let sites = sites_of(&found(&program(NEWEST, &code)).unwrap());
    assert_eq!(sites[0], (Function::GoReadReturn, READ_AT + 0x36));
}

#[test]
fn own_program_is_none_of_go() {
    let file = File::open("/proc/self/exe").unwrap();
    assert!(find(&Image::read(&file).unwrap()).is_none());
}
