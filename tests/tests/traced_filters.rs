//! Each filter takes what it names, of programs that start and of those that run, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Running, Server, Tracer, differences, records};

const LIMIT: Duration = Duration::from_secs(20);

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

/// A client that makes one call, with this id.
fn client(lab: &Lab, server: &Server, id: &str) -> Command {
    let call = format!(r#"{{"id": "{id}", "n": 35}}"#);
    lab.python("cases.py", &["plain", &server.port.to_string(), &call])
}

/// Whether a command's one call is shown.
fn is_shown(tracer: Tracer, client: &Command, id: &str) -> Result<bool> {
    let trace = tracer.run(client)?;
    ensure!(trace.status.success(), "{}", trace.errors);
    ensure!(trace.spans.len() <= 1, "{:#?}", trace.spans);
    Ok(!trace.spans.is_empty() && trace.span(&format!("chatcmpl-{id}")).is_ok())
}

#[test]
fn port_filter_leaves_others_out() -> Result<()> {
    let lab = Lab::open()?;
    let (wanted, other) = (lab.server()?, lab.server()?);
    let port = wanted.port;
    for (ports, server, shown) in [
        (port.to_string(), &wanted, true),
        (port.to_string(), &other, false),
        (format!("{}-{}", port - 1, port), &wanted, true),
        // Below what the kernel gives to clients: the filter looks at either end.
        ("1-1023".to_owned(), &wanted, false),
        (format!("{}-65535", other.port), &other, true),
    ] {
        let tracer = lab.tracer().arg("--port").arg(&ports);
        let found = is_shown(tracer, &client(&lab, server, "filtered"), "filtered")?;
        ensure!(found == shown, "--port {ports}, port {}: {found}", server.port);
    }
    Ok(())
}

#[test]
fn host_filter_goes_by_what_the_client_asked_for() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    for (host, shown) in [("local*", true), ("LOCALHOST", true), ("*.openai.com", false)] {
        let tracer = lab.tracer().arg("--host").arg(host);
        let found = is_shown(tracer, &client(&lab, &server, "asked"), "asked")?;
        ensure!(found == shown, "--host {host}: {found}");
    }
    Ok(())
}

/// Runs two programs, one after the other, beside a tracer; the first alone must be shown.
fn first_alone_is_shown(tracer: Tracer, programs: [(Command, &str); 2]) -> Result<()> {
    let tracer = tracer.attach()?;
    let [wanted, _] = programs.each_ref().map(|(_, id)| format!("chatcmpl-{id}"));
    for (program, _) in programs {
        Running::start(program)?.finish(LIMIT)?.success()?;
    }
    tracer.wait_for_spans(1, LIMIT)?;
    let trace = tracer.stop()?;
    ensure!(trace.spans.len() == 1, "{:#?}", trace.spans);
    trace.span(&wanted).map(|_| ())
}

#[test]
fn executable_filter_finds_new_process() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    // A name that no other program of this machine has.
    let (wanted, other) = (lab.compile(false)?, lab.compile(false)?);
    let tracer = lab.tracer().arg("--exe").arg(&wanted);
    let call = |program: &Path, n: &str| {
        let mut command = Command::new(program);
        // Only a command of llmtap's own is held until the probes are in place.
        command.args([&server.port.to_string(), n, "2"]);
        command
    };
    first_alone_is_shown(tracer, [(call(&wanted, "36"), "c36"), (call(&other, "37"), "c37")])
}

#[test]
fn command_line_filter_finds_new_process() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let program = lab.compile(false)?;
    let call = |n: &str| {
        let mut command = Command::new(&program);
        command.args([&server.port.to_string(), n, "2"]);
        command
    };
    // The program's name is this test's own; its arguments tell the two apart.
    let pattern = format!("{}* 36 2", program.display());
    let tracer = lab.tracer().arg("--cmdline").arg(&pattern);
    first_alone_is_shown(tracer, [(call("36"), "c36"), (call("37"), "c37")])
}

/// A cgroup of this test's own, below the unified hierarchy.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&"cgroup2"))
            .and_then(|fields| fields.get(1).copied())
            .context("no cgroup2 filesystem is mounted here")?;
        let path = Path::new(root).join(name);
        fs::create_dir_all(path.join("below")).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// The command, begun in the cgroup below.
    fn within(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        let procs = self.0.join("below/cgroup.procs");
        shell.args(["-c", r#"echo $$ > "$0"; exec "$@""#]).arg(procs);
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell
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
    let cgroup = Cgroup::make(&format!("llmtap-test-{}", std::process::id()))?;
    let tracer = lab.tracer().arg("--cgroup").arg(&cgroup.0);
    let within = cgroup.within(&client(&lab, &server, "within"));
    let outside = client(&lab, &server, "outside");
    first_alone_is_shown(tracer, [(within, "within"), (outside, "outside")])
}

/// A cgroup that is called as Docker with systemd calls that of a container.
#[test]
fn container_filter_goes_by_the_name_of_the_cgroup() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let id = format!("{:064x}", u64::from(std::process::id()) << 32 | 0xc0de);
    let id: String = id.chars().rev().collect();
    let cgroup = Cgroup::make(&format!("docker-{id}.scope"))?;
    let tracer = lab.tracer().arg("--container").arg(&id[..12]);
    let within = cgroup.within(&client(&lab, &server, "within"));
    let outside = client(&lab, &server, "outside");
    first_alone_is_shown(tracer, [(within, "within"), (outside, "outside")])
}
