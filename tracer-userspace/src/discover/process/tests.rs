use std::{
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
};

use super::*;

fn id(pid: u32) -> ProcessId {
    ProcessId { pid, incarnation: 1 }
}

/// A directory like `/proc/PID`, with these files.
fn fake(status: &str, cmdline: &[u8], environ: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("status"), status).unwrap();
    fs::write(directory.path().join("cmdline"), cmdline).unwrap();
    fs::write(directory.path().join("environ"), environ).unwrap();
    directory
}

fn read(directory: &tempfile::TempDir) -> Process {
    Process::read_below(directory.path(), id(7)).unwrap()
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        let child = Command::new("/bin/sleep")
            .arg("30")
            .env_clear()
            .env("OTEL_SERVICE_NAME", "shop")
            .env("SECRET", "hidden")
            .env("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
            .stdout(Stdio::null())
            .spawn();
        let sleeper = Self(child.unwrap());
        // `vfork` lets us go on before the kernel has filled in the new program's arguments.
        let cmdline = format!("/proc/{}/cmdline", sleeper.0.id());
        while fs::read(&cmdline).unwrap().is_empty() {
            std::thread::yield_now();
        }
        sleeper
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn living_process_is_described() {
    let sleeper = Sleeper::start();
    let pid = sleeper.0.id();
    let process = Process::read(id(pid)).unwrap();
    assert_eq!(process.id, id(pid));
    assert_eq!(process.parent_pid, Some(std::process::id()));
    assert_eq!(process.command, ["/bin/sleep", "30"]);
    assert_eq!(process.executable, fs::canonicalize("/bin/sleep").ok());
    assert_eq!(process.uid, Some(rustix::process::getuid().as_raw()));
    assert_eq!(process.otel_service_name.as_deref(), Some("shop"));
    assert_eq!(process.otel_resource_attributes.as_deref(), Some("team=blue"));
    assert!(!format!("{process:?}").contains("hidden"));
}

#[test]
fn ended_process_is_an_error() {
    let pid = {
        let sleeper = Sleeper::start();
        sleeper.0.id()
    };
    assert_eq!(Process::read(id(pid)).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn absent_files_leave_values_unknown() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("status"), "Name:\tx\nPPid:\tmany\n").unwrap();
    let process = read(&directory);
    assert_eq!(process.parent_pid, None);
    assert_eq!(process.uid, None);
    assert_eq!(process.executable, None);
    assert!(process.command.is_empty());
    assert_eq!(process.otel_service_name, None);
}

#[test]
fn deleted_mark_is_removed() {
    let directory = fake("", b"", b"");
    symlink("/opt/agent (deleted)", directory.path().join("exe")).unwrap();
    assert_eq!(read(&directory).executable, Some("/opt/agent".into()));
}

#[test]
fn variables_are_found_by_whole_name() {
    let directory = fake(
        "",
        b"",
        b"X_OTEL_SERVICE_NAME=no\0OTEL_SERVICE_NAME_=no\0OTEL_SERVICE_NAME=first\0\
          OTEL_SERVICE_NAME=second\0OTEL_RESOURCE_ATTRIBUTES=\0",
    );
    let process = read(&directory);
    assert_eq!(process.otel_service_name.as_deref(), Some("first"));
    assert_eq!(process.otel_resource_attributes, None);
}

#[test]
fn command_lines_are_split_at_nul() {
    for (cmdline, expected) in [
        (b"".as_slice(), vec![]),
        (b"\0", vec![]),
        (b"a\0b c\0\0", vec!["a", "b c", ""]),
        (b"nginx: worker process", vec!["nginx: worker process"]),
        (b"\xff\0", vec!["\u{fffd}"]),
    ] {
        assert_eq!(read(&fake("", cmdline, b"")).command, expected);
    }
}

#[test]
fn oversized_files_are_cut() {
    let huge = vec![b'a'; usize::try_from(COMMAND_LIMIT).unwrap() * 2];
    let directory = fake("", &huge, b"");
    assert_eq!(read(&directory).command[0].len() as u64, COMMAND_LIMIT);
    let mut environ = vec![b'a'; usize::try_from(ENVIRONMENT_LIMIT).unwrap()];
    environ.extend_from_slice(b"\0OTEL_SERVICE_NAME=late\0");
    assert_eq!(read(&fake("", b"", &environ)).otel_service_name, None);
}

#[test]
fn command_lines_are_words() {
    assert_eq!(joined(b"python\0-m\0agent\0"), "python -m agent");
    assert_eq!(joined(b"postgres: writer"), "postgres: writer");
    assert_eq!(joined(b""), "");
}
