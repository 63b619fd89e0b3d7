use std::{collections::HashMap, fs::File, process::Command};

use super::*;
use crate::discover::Cost;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libssl.so.3";

const ENTRY: &str = "- build_id: 00112233\n  library: openssl\n  functions:\n    SSL_read: 0x10\n";

fn refused(text: &str) -> String {
    let Fault { place, words } = Offsets::parse(text).unwrap_err();
    format!("{place} {words}")
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let whole = format!("{ENTRY}    SSL_write: 4096\n");
    let [entry] = &Offsets::parse(&whole).unwrap().entries[..] else { panic!("one") };
    assert_eq!(entry.build_id, [0, 0x11, 0x22, 0x33]);
    assert_eq!(
        entry.functions,
        [
            (Function::SslRead, "SSL_read".to_owned(), 0x10),
            (Function::SslWrite, "SSL_write".to_owned(), 4096)
        ]
    );
    assert!(Offsets::parse("[]").unwrap().is_empty());
    for (text, wanted) in [
        (ENTRY.to_owned(), "4:5: functions: one that receives and one that sends are needed"),
        (whole.replace("00112233", "0011223"), "1:13: build_id: hexadecimal digits are needed"),
        (whole.replace("00112233", "001122"), "1:13: build_id: hexadecimal digits are needed"),
        (whole.replace("00112233", "gg112233"), "1:13: build_id: hexadecimal digits are needed"),
        (whole.replace("SSL_write", "SSL_wrote"), "SSL_wrote is none that llmtap probes: SSL_new,"),
        (whole.replace("0x10", "ten"), "\"ten\" is no address"),
        (whole.replace("openssl", "rustls"), "unknown variant `rustls`"),
        (whole.repeat(2), "6:13: build_id: the same library of it is above already"),
    ] {
        let said = refused(&text);
        assert!(said.contains(wanted), "{said}, wanted {wanted}");
    }
}

/// What `readelf` says, where the library is there: its build id, and its functions' addresses.
fn told_by_readelf() -> Option<(String, HashMap<String, u64>)> {
    let said = |flag: &str| {
        let output = Command::new("readelf").args([flag, "-W", LIBRARY]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (notes, symbols) = (said("-n")?, said("--dyn-syms")?);
    let build_id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "))?;
    let symbol = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, address, _, "FUNC", .., name] = words[..] else { return None };
        let name = name.split('@').next()?.to_owned();
        Some((name, u64::from_str_radix(address, 16).ok()?))
    };
    Some((build_id.to_owned(), symbols.lines().filter_map(symbol).collect()))
}

#[test]
fn functions_of_a_real_library_are_found_by_its_build_id() {
    let Some((build_id, addresses)) = told_by_readelf() else {
        println!("not run: no readelf, or no {LIBRARY}");
        return;
    };
    let file = File::open(LIBRARY).unwrap();
    let image = Image::read(&file).unwrap();
    let names = ["SSL_read", "SSL_read_ex", "SSL_write", "SSL_write_ex", "SSL_free"];
    let entry = |build_id: &str, further: u64| {
        let lines = names.map(|name| format!("    {name}: {:#x}\n", addresses[name] + further));
        let text =
            format!("- build_id: {build_id}\n  library: openssl\n  functions:\n{}", lines.concat());
        Offsets::parse(&text).unwrap()
    };
    let found = entry(&build_id, 0).find(&image);
    let [Ok(finding)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.stack, finding.basis), (Stack::OpenSsl, Basis::Told));
    // As where the names are in the file: the cheaper function that two share stands for both.
    let by_name = tls::find(&image);
    let cheap = |finding: &Finding| {
        let cheap = finding.sites.iter().filter(|site| site.cost == Cost::Emulated);
        cheap.map(|site| site.offset).collect::<Vec<_>>()
    };
    assert!(finding.sites.iter().all(|site| by_name[0].sites.contains(site)));
    assert!(cheap(finding).iter().all(|offset| cheap(&by_name[0]).contains(offset)));
    // The middle of a function.
    let inside = entry(&build_id, 1).find(&image);
    let [Err(why)] = &inside[..] else { panic!("{inside:?}") };
    assert!(why.starts_with("no function begins at 0x"), "{why}");
    // Another file.
    assert!(entry(&build_id.replace(char::is_numeric, "f"), 0).find(&image).is_empty());
}

#[test]
fn address_outside_of_the_code_is_refused() {
    let file = File::open("/proc/self/exe").unwrap();
    let image = Image::read(&file).unwrap();
    let Some(build_id) = image.build_id() else {
        println!("not run: this program has no build id");
        return;
    };
    for address in [0, 1, u64::MAX] {
        let functions =
            [Function::SslRead, Function::SslWrite].map(|function| (function, "f".into(), address));
        let entry = Entry {
            build_id: build_id.clone(),
            stack: Stack::OpenSsl,
            functions: functions.to_vec(),
        };
        assert!(entry.finding(&image).is_err(), "{address:#x}");
    }
}
