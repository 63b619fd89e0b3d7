//! The container that a process runs in, by the name of its cgroup.
//! Takes a pid, or what `/proc/PID/cgroup` says; gives the id that the container's runtime gave it.
//! Where no part of the name is such an id there is none: nothing is guessed.

use std::{fs, io};

/// Hexadecimal digits of an id, in Docker, containerd, CRI-O and podman alike.
const ID_LEN: usize = 64;

/// Who watches over a container, in a cgroup beside it: `crio-conmon-…`, `libpod-conmon-…`.
const MONITOR: &str = "conmon";

/// The container of a process that lives.
///
/// # Errors
/// There is no such process.
pub fn of_process(pid: u32) -> io::Result<Option<String>> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    Ok(in_cgroups(&cgroups).map(str::to_owned))
}

/// The same of what `/proc/PID/cgroup` says (cgroups(7)): `hierarchy:controllers:path`.
pub fn in_cgroups(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        // A container may have cgroups below its own; one within another is the nearer.
        path.rsplit('/').find_map(id)
    })
}

/// `ID`, `runtime-ID.scope` (systemd), or `runtime-ID`.
fn id(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    let is_id = id.len() == ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && !runtime.ends_with(MONITOR)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1c2b3a4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8";

    /// Paths as the runtimes' documentation and sources write them.
    #[test]
    fn runtimes_names_are_read() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/kubepods/burstable/podd8a5c1f2-0b7e-4d2a-9a52-3f6d7a1f2b3c/ID",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-pod1_2.slice/crio-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "/k8s.io/ID",
        ] {
            let path = path.replace("ID", ID);
            assert_eq!(in_cgroups(&format!("0::{path}\n")), Some(ID), "{path}");
            let first = format!("12:cpuset:/\n4:memory:{path}\n1:name=systemd:{path}\n");
            assert_eq!(in_cgroups(&first), Some(ID), "{path}");
        }
    }

    #[test]
    fn others_are_none() {
        let monitor = format!("/machine.slice/libpod-conmon-{ID}.scope");
        for path in [
            "/",
            "/user.slice/user-1000.slice/session-2.scope",
            "/docker/abc",
            "/kubepods/burstable/podd8a5c1f2-0b7e-4d2a-9a52-3f6d7a1f2b3c",
            &monitor,
        ] {
            assert_eq!(in_cgroups(&format!("0::{path}\n")), None, "{path}");
        }
        assert_eq!(in_cgroups("nonsense"), None);
        assert_eq!(in_cgroups(""), None);
    }

    #[test]
    fn nearest_container_counts() {
        let outer = "a".repeat(ID_LEN);
        assert_eq!(in_cgroups(&format!("0::/docker/{outer}/docker/{ID}/init.scope")), Some(ID));
    }
}
