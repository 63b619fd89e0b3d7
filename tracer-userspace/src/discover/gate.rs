//! Holds a started command at each file it opens until the file's probes are in place.
//! Takes fanotify permission events (fanotify(7)) of a mount namespace that only the command and
//! its children live in; gives each opened file to an inspection, then lets the open proceed.
//! So the first call of a library is seen however late it is loaded. Should llmtap die, the
//! kernel lets every open proceed by itself.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response,
};

use super::FileId;

pub struct Gate {
    events: Fanotify,
    /// Files that were inspected, by what can change when a file is rewritten in place.
    inspected: HashSet<(FileId, i64)>,
    namespace: Namespace,
}

/// A mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(PathBuf);

impl Namespace {
    /// The one that a process lives in.
    ///
    /// # Errors
    /// If there is no such process (any more).
    pub fn of(pid: u32) -> io::Result<Self> {
        fs::read_link(format!("/proc/{pid}/ns/mnt")).map(Self)
    }
}

impl Gate {
    /// Watches every mount of the namespace that process `pid` lives in, which must not be ours:
    /// nobody else's opens are to be held.
    pub fn around(pid: u32) -> io::Result<Self> {
        let namespace = Namespace::of(pid)?;
        if namespace == Namespace::of(std::process::id())? {
            return Err(io::Error::other("the command has no mount namespace of its own"));
        }
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC;
        let events = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC)?;
        let mut marked = 0;
        let mut failure = None;
        let root = File::open("/")?;
        let how = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_MOUNT;
        // The root of a process in a chroot need not be a mount point, and is then not in the list.
        for mount in std::iter::once(PathBuf::from("/")).chain(mounts_of(pid)?) {
            let path = seen_from(pid, &mount);
            match events.mark(how, MaskFlags::FAN_OPEN_PERM, &root, Some(&path)) {
                Ok(()) => marked += 1,
                // Mounts that carry no programs (proc, cgroup) may refuse.
                Err(error) => failure = Some(error),
            }
        }
        match (marked, failure) {
            (0, Some(error)) => Err(error.into()),
            _ => Ok(Self { events, inspected: HashSet::new(), namespace }),
        }
    }

    /// Where opens are held. A process that enters another one (a sandbox does) is out of reach.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Handles opens as they come, calling `inspect` for each ELF file not seen before. Does not
    /// return but with an error of the kernel; from then on nothing is held.
    pub fn serve(
        &mut self,
        inspect: &mut dyn FnMut(File, &Path),
    ) -> io::Result<std::convert::Infallible> {
        loop {
            for event in self.events.read_events()? {
                let Some(fd) = event.fd() else { continue };
                let file = fd.try_clone_to_owned().map(File::from);
                // llmtap's own opens through the command's namespace must not wait for itself.
                let own = event.pid() == std::process::id() as i32;
                if let (false, Ok(file)) = (own, file) {
                    self.look_at(file, inspect);
                }
                let response = FanotifyResponse::new(fd, Response::FAN_ALLOW);
                self.events.write_response(response)?;
            }
        }
    }

    fn look_at(&mut self, file: File, inspect: &mut dyn FnMut(File, &Path)) {
        use std::os::unix::fs::{FileExt as _, MetadataExt as _};
        let Ok(metadata) = file.metadata() else { return };
        if !metadata.is_file() {
            return;
        }
        if !self
            .inspected
            .insert((FileId::from(&metadata), metadata.ctime_nsec() ^ metadata.ctime()))
        {
            return;
        }
        let mut magic = [0; 4];
        if file.read_exact_at(&mut magic, 0).is_ok() && magic == *b"\x7fELF" {
            let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
            inspect(file, &path.unwrap_or_default());
        }
    }
}

/// A path of the process's mount namespace, from ours.
fn seen_from(pid: u32, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    PathBuf::from(format!("/proc/{pid}/root")).join(inside)
}

/// Mount points of a process's namespace (proc_pid_mountinfo(5), fifth field, octal escapes).
fn mounts_of(pid: u32) -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    Ok(text.lines().filter_map(|line| Some(unescape(line.split(' ').nth(4)?))).collect())
}

fn unescape(field: &str) -> PathBuf {
    let mut path = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        path.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                path.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                path.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_read() {
        assert_eq!(unescape("/mnt/a\\040b\\134c"), Path::new("/mnt/a b\\c"));
        assert_eq!(unescape("/plain"), Path::new("/plain"));
        assert_eq!(unescape("/odd\\9"), Path::new("/odd\\9"));
    }

    #[test]
    fn own_mounts_include_the_root() {
        let mounts = mounts_of(std::process::id()).unwrap();
        assert!(mounts.contains(&PathBuf::from("/")));
    }
}
