//! Starts the command of `llmtap trace -- COMMAND`, held before its first instruction.
//! Takes the command line; gives its pid while it waits, then lets it go and waits for its end.
//! It gets a mount namespace of its own, alike in every mount, so that its opens can be told
//! from everyone else's (see [`crate::discover::Gate`]). Nothing else about it is changed.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::PermissionsExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::Path,
    process::{Child, Command, ExitStatus},
    thread::JoinHandle,
};

use nix::sched::CloneFlags;

/// A command that exists as a process and has not begun.
pub struct Held {
    pub pid: u32,
    go: io::PipeWriter,
    spawned: JoinHandle<io::Result<Child>>,
}

/// Whether there is such a program, before anything is done for it.
///
/// # Errors
/// As the exec would fail: not found, or not to be executed.
pub fn find(program: &OsStr) -> io::Result<()> {
    let executable = |path: &Path| {
        let metadata = path.metadata()?;
        let allowed = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        if allowed { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    };
    if program.as_bytes().contains(&b'/') {
        return executable(Path::new(program));
    }
    // As execvp(3): a file that may not be executed does not end the search, but is remembered.
    let mut failure = io::ErrorKind::NotFound.into();
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        match executable(&folder.join(program)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Makes the process and holds it.
pub fn hold(command: &[OsString]) -> io::Result<Held> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // Both ends of either are closed by an exec.
    let (mut pid_read, pid_write) = io::pipe()?;
    let (go_read, go_write) = io::pipe()?;
    let mut child = Command::new(program);
    child.args(arguments);
    let (tell, wait) = (pid_write.as_raw_fd(), go_read.as_raw_fd());
    // The child's own copy of the writing end would keep it waiting when llmtap is gone.
    let ours = go_write.as_raw_fd();
    // SAFETY: between fork and exec the closure makes system calls only, allocates nothing and
    // takes no lock; both descriptors are open in the child until its exec closes them.
    unsafe {
        child.pre_exec(move || wait_for_leave(tell, wait, ours));
    }
    let spawned = std::thread::Builder::new().name("command".into()).spawn(move || {
        let child = child.spawn();
        drop((pid_write, go_read));
        child
    })?;
    let mut pid = [0; 4];
    if let Err(error) = pid_read.read_exact(&mut pid) {
        // The process could not be made: its own error says more.
        return Err(match spawned.join() {
            Ok(Err(cause)) => cause,
            _ => error,
        });
    }
    Ok(Held { pid: u32::from_ne_bytes(pid), go: go_write, spawned })
}

fn wait_for_leave(tell: i32, wait: i32, ours: i32) -> io::Result<()> {
    // Without the privilege the command runs in the common namespace; then nothing is held.
    let _ = nix::sched::unshare(CloneFlags::CLONE_NEWNS);
    let pid = std::process::id().to_ne_bytes();
    let mut go = [0u8];
    // SAFETY: the buffers are valid for the lengths given, and of the descriptor that is closed
    // nothing in this process has any use.
    unsafe {
        libc::close(ours);
        if libc::write(tell, pid.as_ptr().cast(), pid.len()) != pid.len() as isize {
            return Err(io::Error::last_os_error());
        }
        if libc::read(wait, go.as_mut_ptr().cast(), 1) != 1 {
            // llmtap is gone or gave up: the command must not run untraced.
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
    }
    Ok(())
}

impl Held {
    /// Lets it begin. An error is what `exec` said: no such program, no permission.
    pub fn release(mut self) -> io::Result<Child> {
        self.go.write_all(&[1])?;
        self.spawned.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread failed")))
    }
}

/// The exit status a shell would give: the command's own, or 128 and the signal that ended it.
pub fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128_u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}

/// The exit status for a command that could not be started, as POSIX shells have it.
pub fn start_failure_code(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_exec_finds_them() {
        assert!(find(OsStr::new("sh")).is_ok());
        assert!(find(OsStr::new("/bin/sh")).is_ok());
        let kind = |name: &str| find(OsStr::new(name)).map_err(|error| error.kind());
        assert_eq!(kind("no-such-program"), Err(io::ErrorKind::NotFound));
        assert_eq!(kind("/etc/passwd"), Err(io::ErrorKind::PermissionDenied));
        assert_eq!(kind("/etc"), Err(io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn signal_gives_the_status_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
