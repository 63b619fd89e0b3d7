//! Whose calls are seen: the command's first, its children's, those of a library loaded late; no others.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Running, differences, records};

const LIMIT: Duration = Duration::from_secs(20);

/// The first thing that the program does is its call.
fn first_call_is_seen(late: bool) -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let mut command = Command::new(lab.compile(late)?);
    command.args([&server.port.to_string(), "31"]);
    for _ in 0..3 {
        let trace = lab.tracer().run(&command)?;
        ensure!(trace.status.success(), "{}", trace.errors);
        let span = trace.span("chatcmpl-c31")?;
        ensure!(span.number("gen_ai.usage.input_tokens") == Some(1031), "{span:#?}");
        ensure!(span.text("gen_ai.request.model") == Some("model-c"), "{span:#?}");
        trace.nothing_lost()?;
    }
    Ok(())
}

#[test]
fn linked_library_first_call() -> Result<()> {
    first_call_is_seen(false)
}

#[test]
fn library_opened_late_first_call() -> Result<()> {
    first_call_is_seen(true)
}

#[test]
fn children_of_children_are_followed() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let python = lab.python("cases.py", &["plain", &port, r#"{"id": "deep", "n": 32}"#]);
    let line = std::iter::once(python.get_program())
        .chain(python.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("sh -c \"{}; true\"; true", line.replace('"', "\\\""))]);
    lab.authority.trust(&mut shell);
    let trace = lab.tracer().run(&shell)?;
    let calls = records(&trace.output);
    ensure!(calls.len() == 1, "{}", trace.errors);
    let wrong = differences(&trace.spans, &calls);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn exit_status_and_output_pass_through() -> Result<()> {
    let lab = Lab::open()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf 'one\\ntwo'; echo words >&2; exit 37"]);
    let trace = lab.tracer().run(&shell)?;
    ensure!(trace.status.code() == Some(37), "{}", trace.status);
    ensure!(trace.output == "one\ntwo", "{:?}", trace.output);
    ensure!(trace.errors.lines().any(|line| line == "words"), "{}", trace.errors);
    ensure!(trace.spans.is_empty(), "{:#?}", trace.spans);
    Ok(())
}

#[test]
fn attached_process_alone_is_traced() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let go = lab.file("go");
    let start = |id: &str, n: u32| {
        let call = format!(r#"{{"id": "{id}", "n": {n}}}"#);
        let mut command = lab.python("cases.py", &["waits", &port, &call]);
        command.env("WAIT_FOR", &go);
        Running::start(command)
    };
    let (ours, other) = (start("ours", 33)?, start("other", 34)?);
    for client in [&ours, &other] {
        client.errors.wait_for(LIMIT, |line| line == "waiting")?;
    }
    let tracer = lab.tracer().arg("--pid").arg(ours.pid().to_string()).attach()?;
    fs::write(&go, "")?;
    let calls = records(&ours.finish(LIMIT)?.success()?.output);
    other.finish(LIMIT)?.success()?;
    tracer.wait_for_spans(1, LIMIT)?;
    let trace = tracer.stop()?;
    let wrong = differences(&trace.spans, &calls);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(trace.status.success(), "{}", trace.status);
    Ok(())
}

#[test]
fn port_filter_leaves_others_out() -> Result<()> {
    let lab = Lab::open()?;
    let (wanted, other) = (lab.server()?, lab.server()?);
    let python = |port: u16, id: &str| {
        let call = format!(r#"{{"id": "{id}", "n": 35}}"#);
        lab.python("cases.py", &["plain", &port.to_string(), &call])
    };
    for (port, spans) in [(wanted.port, 1), (other.port, 0)] {
        let trace = lab
            .tracer()
            .arg("--port")
            .arg(wanted.port.to_string())
            .run(&python(port, "filtered"))?;
        ensure!(trace.spans.len() == spans, "{:#?}\n{}", trace.spans, trace.errors);
    }
    Ok(())
}

#[test]
fn executable_filter_finds_new_process() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    // A name that no other program of this machine has.
    let (wanted, other) = (lab.compile(false)?, lab.compile(false)?);
    let tracer = lab.tracer().arg("--exe").arg(&wanted).attach()?;
    for (program, n) in [(&wanted, "36"), (&other, "37")] {
        let mut command = Command::new(program);
        // Only a command of llmtap's own is held until the probes are in place.
        command.args([&server.port.to_string(), n, "2"]);
        Running::start(command)?.finish(LIMIT)?.success()?;
    }
    tracer.wait_for_spans(1, LIMIT)?;
    let trace = tracer.stop()?;
    ensure!(trace.spans.len() == 1, "{:#?}", trace.spans);
    trace.span("chatcmpl-c36")?;
    Ok(())
}

/// A sandbox's mount namespace is out of reach of what holds a command's opens.
#[test]
fn child_in_another_mount_namespace_is_seen() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let call = r#"{"id": "sandboxed", "n": 40}"#;
    let client = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(client.get_program()).args(client.get_args());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let trace = lab.tracer().run(&command)?;
    let wrong = differences(&trace.spans, &records(&trace.output));
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", trace.errors);
    trace.span("chatcmpl-sandboxed").map(|_| ())
}

/// A cgroup of this test's own, below the unified hierarchy.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&"cgroup2"))
            .and_then(|fields| fields.get(1).copied())
            .context("no cgroup2 filesystem is mounted here")?;
        let path = Path::new(root).join(format!("llmtap-test-{}", std::process::id()));
        fs::create_dir_all(path.join("below")).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Empty by now: the processes in it have ended.
        let _ = fs::remove_dir(self.0.join("below"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn cgroup_filter_takes_those_below() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let cgroup = Cgroup::make()?;
    let tracer = lab.tracer().arg("--cgroup").arg(&cgroup.0).attach()?;
    for (id, n, enter) in [("within", 38, true), ("outside", 39, false)] {
        let call = format!(r#"{{"id": "{id}", "n": {n}}}"#);
        let client = lab.python("cases.py", &["plain", &server.port.to_string(), &call]);
        let mut command = Command::new("sh");
        let procs = cgroup.0.join("below/cgroup.procs");
        let script = r#"[ -z "$ENTER" ] || echo $$ > "$ENTER"; exec "$@""#;
        command.args(["-c", script, "sh"]).arg(client.get_program()).args(client.get_args());
        command.env("ENTER", if enter { procs.as_os_str() } else { OsStr::new("") });
        command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let finished = Running::start(command)?.finish(LIMIT)?;
        ensure!(finished.status.success(), "{}", finished.errors);
    }
    tracer.wait_for_spans(1, LIMIT)?;
    let trace = tracer.stop()?;
    ensure!(trace.spans.len() == 1, "{:#?}", trace.spans);
    trace.span("chatcmpl-within").map(|_| ())
}
