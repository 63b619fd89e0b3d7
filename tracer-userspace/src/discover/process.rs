//! What is known of a traced process, read once from `/proc` while it lives.
//! Takes a pid; gives a [`Process`], which names the service and its resource attributes.
//! Nothing here is guessed: what `/proc` did not give is `None`.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use crate::capture::ProcessId;

/// Bytes of a command line that are read. The script's name is near its start.
const COMMAND_LIMIT: u64 = 64 << 10;

/// Bytes of an environment that are searched: what `execve` takes with the usual stack limit of
/// 8 MiB, a quarter of it (`execve(2)`, "Limits on size of arguments and environment").
const ENVIRONMENT_LIMIT: u64 = 2 << 20;

/// Bytes of `/proc/PID/status` that are read; it has about 1.5 KiB.
const STATUS_LIMIT: u64 = 16 << 10;

/// What the kernel puts behind the path of an executable whose file is gone (`proc_pid_exe(5)`).
const DELETED: &[u8] = b" (deleted)";

/// A program in execution, as `/proc` described it when it was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: ProcessId,
    pub parent_pid: Option<u32>,
    /// `/proc/PID/exe`, without the kernel's ` (deleted)` mark.
    pub executable: Option<PathBuf>,
    /// Arguments, with the command itself first.
    pub command: Vec<String>,
    /// Name of the user that owns the process, as a number.
    pub uid: Option<u32>,
    /// Of its environment, only what OpenTelemetry defines: `OTEL_SERVICE_NAME`.
    pub otel_service_name: Option<String>,
    /// Of its environment: `OTEL_RESOURCE_ATTRIBUTES`.
    pub otel_resource_attributes: Option<String>,
}

impl Process {
    /// Reads what `/proc` tells of the process that has this pid now.
    ///
    /// # Errors
    ///
    /// If there is no such process. Files that may not be read, or whose process ended in between,
    /// leave their part unknown.
    pub fn read(id: ProcessId) -> io::Result<Self> {
        Self::read_below(&Path::new("/proc").join(id.pid.to_string()), id)
    }

    fn read_below(directory: &Path, id: ProcessId) -> io::Result<Self> {
        let status = read_bounded(&directory.join("status"), STATUS_LIMIT)?;
        let status = String::from_utf8_lossy(&status);
        let executable = fs::read_link(directory.join("exe")).ok();
        let command = read_bounded(&directory.join("cmdline"), COMMAND_LIMIT).unwrap_or_default();
        let (otel_service_name, otel_resource_attributes) =
            open_telemetry_variables(&directory.join("environ"));
        Ok(Self {
            id,
            parent_pid: status_number(&status, "PPid:"),
            executable: executable.map(without_deleted_mark),
            command: arguments(&command),
            uid: status_number(&status, "Uid:"),
            otel_service_name,
            otel_resource_attributes,
        })
    }
}

/// The command line of the process that has this pid now: its arguments, with a space between.
///
/// # Errors
/// There is no such process.
pub fn command_line(pid: u32) -> io::Result<String> {
    read_bounded(Path::new(&format!("/proc/{pid}/cmdline")), COMMAND_LIMIT)
        .map(|command| joined(&command))
}

fn joined(cmdline: &[u8]) -> String {
    arguments(cmdline).join(" ")
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first number behind a field's name: of `Uid:`, the real one.
fn status_number(status: &str, field: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn without_deleted_mark(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(rest) => OsString::from_vec(rest.to_vec()).into(),
        None => path,
    }
}

/// Arguments end with a NUL each; a process that writes its own title may leave that out.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let ended = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    if ended.is_empty() {
        return Vec::new();
    }
    ended.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; no other variable is kept. As with `getenv`
/// the first of a name counts; an empty value is an unset one (OpenTelemetry specification).
fn open_telemetry_variables(environ: &Path) -> (Option<String>, Option<String>) {
    let Ok(file) = File::open(environ) else { return (None, None) };
    let (mut name, mut attributes) = (None, None);
    for variable in BufReader::new(file.take(ENVIRONMENT_LIMIT)).split(0).map_while(Result::ok) {
        for (key, slot) in [
            (b"OTEL_SERVICE_NAME=".as_slice(), &mut name),
            (b"OTEL_RESOURCE_ATTRIBUTES=".as_slice(), &mut attributes),
        ] {
            if let (Some(value), None) = (variable.strip_prefix(key), &slot) {
                *slot = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    let set = |value: Option<String>| value.filter(|value| !value.is_empty());
    (set(name), set(attributes))
}

#[cfg(test)]
mod tests;
