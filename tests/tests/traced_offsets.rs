//! Programs whose TLS library only its builder knows: what is said of their functions is used, refused
//! where it cannot be, and taken back where it turns out wrong.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Running, Trace};

const LIMIT: Duration = Duration::from_secs(60);

/// OpenSSL is in the program itself.
const STATIC: [&str; 4] = ["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-Wl,--build-id"];

/// Connections that begin as ciphertext before functions are wrong: `capture::proof`.
const CALLS: u32 = 12;

/// `call.c` without symbols, and what was known of it before they were taken away.
struct Stripped {
    program: PathBuf,
    build_id: String,
    addresses: HashMap<String, u64>,
}

fn said(program: &str, arguments: &[&str], file: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).arg(file);
    Ok(Running::start(command)?.finish(LIMIT)?.success()?.output)
}

impl Stripped {
    fn build(lab: &Lab) -> Result<Self> {
        let program = lab.compile_c("call.c", &STATIC)?;
        let mut addresses = HashMap::new();
        for line in said("nm", &["--defined-only"], &program)?.lines() {
            if let [address, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] {
                addresses.insert(name.to_owned(), u64::from_str_radix(address, 16)?);
            }
        }
        said("strip", &[], &program)?;
        let notes = said("readelf", &["-n"], &program)?;
        let build_id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
        let build_id = build_id.context("no build id")?.to_owned();
        Ok(Self { program, build_id, addresses })
    }

    /// A file that says of each function that it begins where another does, so many bytes further.
    fn offsets(&self, lab: &Lab, functions: &[(&str, &str)], further: u64) -> Result<PathBuf> {
        let mut text = format!("- build_id: {}\n  library: openssl\n  functions:\n", self.build_id);
        for (name, of) in functions {
            let address = self.addresses.get(*of).with_context(|| format!("no {of}"))? + further;
            text += &format!("    {name}: {address:#x}\n");
        }
        let file = lab.file("offsets.yaml");
        fs::write(&file, text)?;
        Ok(file)
    }

    /// It calls so often, a process each, and gets every answer.
    fn trace(&self, lab: &Lab, offsets: Option<&Path>, calls: u32) -> Result<Trace> {
        let server = lab.server()?;
        let mut shell = Command::new("sh");
        let script = format!(
            "for n in $(seq {calls}); do '{}' {} $n || exit; done",
            self.program.display(),
            server.port
        );
        shell.args(["-c", &script]);
        let mut tracer = lab.tracer();
        if let Some(file) = offsets {
            tracer = tracer.arg("--offsets").arg(file);
        }
        let trace = tracer.run(&shell)?;
        ensure!(trace.status.success(), "{}\n{}", trace.output, trace.errors);
        let answers = trace.output.matches("\"chatcmpl-c").count();
        ensure!(answers == calls as usize, "{answers} answers: {}", trace.output);
        Ok(trace)
    }
}

#[test]
fn given_addresses_are_used() -> Result<()> {
    let lab = Lab::open()?;
    let stripped = Stripped::build(&lab)?;
    let without = stripped.trace(&lab, None, 1)?;
    ensure!(without.spans.is_empty(), "found without being told: {:#?}", without.spans);
    let names = ["SSL_new", "SSL_free", "SSL_read", "SSL_write", "SSL_set_fd"];
    let offsets = stripped.offsets(&lab, &names.map(|name| (name, name)), 0)?;
    let trace = stripped.trace(&lab, Some(&offsets), 3)?;
    ensure!(trace.spans.len() == 3, "{:#?}\n{}", trace.spans, trace.errors);
    for number in 1..=3 {
        let span = trace.span(&format!("chatcmpl-c{number}"))?;
        ensure!(span.number("gen_ai.usage.input_tokens") == Some(1000 + number), "{span:#?}");
    }
    trace.nothing_lost()
}

/// The program is not harmed by a file that is wrong.
#[test]
fn address_inside_of_a_function_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let stripped = Stripped::build(&lab)?;
    let functions = [("SSL_read", "SSL_read"), ("SSL_write", "SSL_write")];
    let offsets = stripped.offsets(&lab, &functions, 2)?;
    let trace = stripped.trace(&lab, Some(&offsets), 2)?;
    ensure!(trace.spans.is_empty(), "{:#?}", trace.spans);
    let at = stripped.addresses["SSL_read"] + 2;
    let why = format!("no function begins at {at:#x} (SSL_read)");
    ensure!(trace.errors.contains(&why), "{}", trace.errors);
    Ok(())
}

/// What is said to be the interface is where the library moves its records from and to the socket.
#[test]
fn functions_that_carry_ciphertext_are_let_go() -> Result<()> {
    let lab = Lab::open()?;
    let stripped = Stripped::build(&lab)?;
    let functions = [
        ("SSL_new", "BIO_new"),
        ("SSL_free", "BIO_free"),
        ("SSL_read", "sock_read"),
        ("SSL_write", "sock_write"),
    ];
    let offsets = stripped.offsets(&lab, &functions, 0)?;
    let trace = stripped.trace(&lab, Some(&offsets), CALLS)?;
    ensure!(trace.spans.is_empty(), "{:#?}", trace.spans);
    let why = "was not what it seemed: what flows through its functions is ciphertext";
    ensure!(trace.errors.contains(why), "{}", trace.errors);
    Ok(())
}
