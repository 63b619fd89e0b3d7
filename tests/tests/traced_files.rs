//! Files with TLS libraries: replaced under running programs, different in each root, and used by
//! processes that come and go faster than anyone can look at them.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Running, Trace, Tracer, records, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

/// Two builds of the same library, as `cargo xtask` unpacked them.
fn builds() -> Result<[PathBuf; 2]> {
    let folder = env::var_os("LLMTAP_LIBSSL").context("not run by `cargo xtask test`")?;
    let mut builds = Vec::new();
    for version in fs::read_dir(folder)? {
        for machine in fs::read_dir(version?.path().join("usr/lib"))? {
            builds.push(machine?.path());
        }
    }
    builds.retain(|build| build.join("libssl.so.3").exists());
    builds.sort();
    let [first, second] = &builds[..] else { anyhow::bail!("not two builds: {builds:?}") };
    let differ = fs::read(first.join("libssl.so.3"))? != fs::read(second.join("libssl.so.3"))?;
    ensure!(differ, "the two builds are one");
    Ok([first.clone(), second.clone()])
}

const LIBRARIES: [&str; 2] = ["libssl.so.3", "libcrypto.so.3"];

/// Puts a build in a folder as a package manager does: new files, renamed over the old ones.
fn install(build: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for library in LIBRARIES {
        let new = folder.join(format!("{library}.dpkg-new"));
        fs::copy(build.join(library), &new)?;
        fs::rename(new, folder.join(library))?;
    }
    Ok(())
}

/// The calls of `call.c` with these numbers are there, once each, and nothing was lost.
fn calls_are_seen(trace: &Trace, numbers: &[u32]) -> Result<()> {
    ensure!(trace.spans.len() == numbers.len(), "{:#?}\n{}", trace.spans, trace.errors);
    for number in numbers {
        let span = trace.span(&format!("chatcmpl-c{number}"))?;
        let tokens = span.number("gen_ai.usage.input_tokens");
        ensure!(tokens == Some(1000 + i64::from(*number)), "{span:#?}");
    }
    trace.nothing_lost()
}

fn maps(program: &Running) -> String {
    fs::read_to_string(format!("/proc/{}/maps", program.pid())).unwrap_or_default()
}

/// The program that has the old file keeps it, deleted, and the next one has the new.
fn replaced_library_is_seen(attached_before: bool) -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let [old, new] = builds()?;
    let (program, folder, go) = (lab.compile(false)?, lab.file("libraries"), lab.file("go"));
    let start = |number: &str| {
        let mut command = Command::new(&program);
        command.args([&server.port.to_string(), number]).arg(&go);
        command.env("LD_LIBRARY_PATH", &folder);
        Running::start(command)
    };
    let is_loaded = |program: &Running| {
        let loaded = || maps(program).contains("libcrypto.so.3").then_some(());
        wait_until("its libraries", LIMIT, loaded)
    };
    let tracer = || lab.tracer().arg("--exe").arg(&program);
    install(&old, &folder)?;
    let first = start("41")?;
    is_loaded(&first)?;
    let early = attached_before.then(|| tracer().attach()).transpose()?;
    install(&new, &folder)?;
    ensure!(maps(&first).contains("libssl.so.3 (deleted)"), "{}", maps(&first));
    let tracer = early.map_or_else(|| tracer().attach(), Ok)?;
    let second = start("42")?;
    is_loaded(&second)?;
    ensure!(!maps(&second).contains("(deleted)"), "{}", maps(&second));
    // Nobody holds what llmtap did not start: its probes need a moment.
    std::thread::sleep(Duration::from_secs(1));
    fs::write(&go, "")?;
    for program in [first, second] {
        program.finish(LIMIT)?.success()?;
    }
    tracer.wait_for_spans(2, LIMIT)?;
    calls_are_seen(&tracer.stop()?, &[41, 42])
}

#[test]
fn library_replaced_before_the_tracer_came() -> Result<()> {
    replaced_library_is_seen(false)
}

#[test]
fn library_replaced_while_it_is_traced() -> Result<()> {
    replaced_library_is_seen(true)
}

/// Descriptors of probes that a tracer holds.
fn probes(tracer: &Running) -> Result<usize> {
    let mut count = 0;
    for descriptor in fs::read_dir(format!("/proc/{}/fd", tracer.pid()))? {
        let target = fs::read_link(descriptor?.path()).unwrap_or_default();
        let target = target.to_string_lossy();
        count += usize::from(target.contains("perf_event") || target.contains("bpf_link"));
    }
    ensure!(count > 0, "no probe has a descriptor");
    Ok(count)
}

/// A library that was upgraded, and that no process has any more, keeps no probes.
#[test]
fn deleted_library_loses_its_probes() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let [old, new] = builds()?;
    let (program, folder) = (lab.compile(false)?, lab.file("libraries"));
    let start = |number: &str, go: &Path| {
        let mut command = Command::new(&program);
        command.args([&server.port.to_string(), number]).arg(go);
        command.env("LD_LIBRARY_PATH", &folder);
        Running::start(command)
    };
    let (first_go, second_go) = (lab.file("first"), lab.file("second"));
    install(&old, &folder)?;
    let first = start("43", &first_go)?;
    wait_until("its libraries", LIMIT, || maps(&first).contains("libcrypto.so.3").then_some(()))?;
    let tracer = lab.tracer().arg("--exe").arg(&program).args(["--sweep-seconds", "1"]).attach()?;
    let with_old = probes(tracer.process())?;
    fs::write(&first_go, "")?;
    first.finish(LIMIT)?.success()?;
    // Nobody has it, and the next may begin at any time.
    std::thread::sleep(Duration::from_secs(4));
    ensure!(probes(tracer.process())? == with_old, "a library that can still be loaded");
    install(&new, &folder)?;
    let fewer = || probes(tracer.process()).ok().filter(|count| *count < with_old);
    let without = wait_until("probes taken off", LIMIT, fewer)?;
    let second = start("44", &second_go)?;
    let more = || probes(tracer.process()).ok().filter(|count| *count > without);
    wait_until("probes on the new library", LIMIT, more)?;
    std::thread::sleep(Duration::from_secs(1));
    fs::write(&second_go, "")?;
    second.finish(LIMIT)?.success()?;
    tracer.wait_for_spans(2, LIMIT)?;
    calls_are_seen(&tracer.stop()?, &[43, 44])
}

/// A root with the program, the C library and one build of OpenSSL.
fn root(lab: &Lab, program: &Path, build: &Path) -> Result<PathBuf> {
    let root = lab.file("root");
    install(build, &root.join("lib"))?;
    fs::copy(program, root.join("call"))?;
    fs::set_permissions(root.join("call"), fs::Permissions::from_mode(0o755))?;
    let mut ldd = Command::new("ldd");
    ldd.arg(program);
    let needed = Running::start(ldd)?;
    for line in needed.finish(LIMIT)?.success()?.output.lines() {
        let Some(path) = line.split_whitespace().find(|word| word.starts_with('/')) else {
            continue;
        };
        let name = Path::new(path).file_name().context("a library without a name")?;
        if LIBRARIES.iter().any(|library| name == *library) {
            continue;
        }
        // The loader stands where the program says, the libraries where it looks.
        let place = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("no folder")?)?;
        fs::copy(path, &place)?;
        fs::copy(path, root.join("lib").join(name))?;
    }
    Ok(root)
}

/// One in a `chroot`, one in a root and a mount namespace of its own, as a container has it.
#[test]
fn roots_with_different_builds() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let program = lab.compile(false)?;
    let [first, second] = builds()?;
    let (first, second) = (root(&lab, &program, &first)?, root(&lab, &program, &second)?);
    let mut shell = Command::new("sh");
    // A namespace of its own is out of reach of what holds opens: there the program waits a second.
    shell.args([
        "-ec",
        r#"chroot "$1" /call "$0" 43; unshare --mount chroot "$2" /call "$0" 44 1"#,
        &server.port.to_string(),
    ]);
    shell.arg(&first).arg(&second).env("LD_LIBRARY_PATH", "/lib");
    let trace = lab.tracer().run(&shell)?;
    ensure!(trace.status.success(), "{}", trace.errors);
    calls_are_seen(&trace, &[43, 44])
}

/// What a process holds: descriptors, and KiB of memory.
fn held(process: &Running) -> Result<(usize, u64)> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid()))?.count();
    Ok((descriptors, process.resident_memory().context("no memory")?))
}

/// Memory that llmtap may have more after many processes than after few, in KiB.
const GROWTH: u64 = 8 << 10;

/// Each makes one call, the first thing that it does; afterwards nothing is left of them.
#[test]
fn short_processes_are_seen_and_leave_nothing() -> Result<()> {
    // In full: 2,000 one after the other, of some 50 ms, and again, for over ten minutes.
    let (some, all) = if env::var_os("LLMTAP_FULL").is_some() { (2000, 12_000) } else { (60, 180) };
    let lab = Lab::open()?;
    let server = lab.server()?;
    let program = lab.compile(false)?;
    let (pause, go) = (lab.file("pause"), lab.file("go"));
    let mut shell = Command::new("sh");
    shell.args([
        "-ec",
        r#"i=1
        while [ $i -le $5 ]; do
            "$1" "$0" $i
            if [ $i = $4 ] || [ $i = $5 ]; then
                touch "$2.$i"
                while [ ! -e "$3.$i" ]; do sleep 0.1; done
            fi
            i=$((i+1))
        done"#,
        &server.port.to_string(),
    ]);
    shell.arg(&program).arg(&pause).arg(&go).args([some.to_string(), all.to_string()]);
    let tracer: Tracer = lab.tracer();
    let attached = tracer.start(&shell)?;
    let mut after = Vec::new();
    for number in [some, all] {
        let beside = |path: &Path| PathBuf::from(format!("{}.{number}", path.display()));
        let is_there = || beside(&pause).exists().then_some(());
        wait_until("many processes", Duration::from_secs(1800), is_there)?;
        attached.wait_for_spans(number, LIMIT)?;
        after.push(held(attached.process())?);
        fs::write(beside(&go), "")?;
    }
    let trace = attached.wait()?;
    ensure!(trace.status.success(), "{}", trace.errors);
    ensure!(records(&trace.output).len() == all, "{}", trace.errors);
    let numbers: Vec<u32> = (1..=all as u32).collect();
    calls_are_seen(&trace, &numbers)?;
    println!("descriptors and KiB after {some} and {all} processes: {after:?}");
    ensure!(after[1].0 == after[0].0, "descriptors: {after:?}");
    ensure!(after[1].1 <= after[0].1 + GROWTH, "memory: {after:?}");
    Ok(())
}
