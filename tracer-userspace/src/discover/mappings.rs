//! The files that a process has mapped for execution, from `/proc/PID/maps`.
//! Takes a pid; gives files that can be opened although deleted or in another mount namespace.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// One executable mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    /// Device and inode as the kernel prints them here: equal for equal files, and on some
    /// filesystems different from what `stat` says.
    pub device: String,
    pub inode: u64,
    pub path: PathBuf,
}

impl Mapping {
    /// Opens the very file that is mapped.
    pub fn open(&self, pid: u32) -> io::Result<File> {
        File::open(format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end))
            // Without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: by name, in the process's own view.
            .or_else(|_| File::open(format!("/proc/{pid}/root{}", self.path.display())))
    }
}

/// The executable file mappings of a process, one a file.
pub fn of_process(pid: u32) -> io::Result<Vec<Mapping>> {
    read(BufReader::new(File::open(format!("/proc/{pid}/maps"))?))
}

/// The same of what such a file says.
pub fn read(maps: impl BufRead) -> io::Result<Vec<Mapping>> {
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut seen = HashSet::new();
    for line in maps.split(b'\n') {
        let line = line?;
        let Some(mapping) = parse(&String::from_utf8_lossy(&line)) else { continue };
        if seen.insert((mapping.inode, mapping.device.clone())) {
            mappings.push(mapping);
        }
    }
    Ok(mappings)
}

/// `start-end perms offset dev inode path` (proc_pid_maps(5)); `None` for what is not an
/// executable mapping of a file.
fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let _offset = fields.next()?;
    let device = fields.next()?;
    let inode: u64 = fields.next()?.parse().ok()?;
    if permissions.as_bytes().get(2) != Some(&b'x') || inode == 0 {
        return None;
    }
    let path = &line[line.find('/')?..];
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        device: device.to_owned(),
        inode,
        path: PathBuf::from(path.strip_suffix(" (deleted)").unwrap_or(path)),
    })
}

pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Every process there is now.
pub fn all_processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// These processes and all that descend from them, as far as they live now. Each once.
pub fn trees_of(roots: impl Iterator<Item = u32>) -> HashSet<u32> {
    let mut next: Vec<u32> = roots.collect();
    if next.is_empty() {
        return HashSet::new();
    }
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_processes() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut trees = HashSet::new();
    while let Some(pid) = next.pop() {
        if trees.insert(pid) {
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    trees
}

fn parent_of(pid: u32) -> Option<u32> {
    // The name, in parentheses, may hold anything; what follows its last one is regular.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_file_mapping_is_read() {
        let line =
            "7f01a000-7f02b000 r-xp 0001a000 fd:01 1234   /usr/lib/a b/libssl.so.3 (deleted)";
        assert_eq!(
            parse(line),
            Some(Mapping {
                start: 0x7f01_a000,
                end: 0x7f02_b000,
                device: "fd:01".into(),
                inode: 1234,
                path: "/usr/lib/a b/libssl.so.3".into(),
            })
        );
    }

    #[test]
    fn other_mappings_are_passed_over() {
        for line in [
            "7f01a000-7f02b000 rw-p 0001a000 fd:01 1234 /usr/lib/libssl.so.3",
            "7ffc000-7ffd000 r-xp 00000000 00:00 0 [vdso]",
            "7f01a000-7f02b000 r-xp 00000000 00:00 0",
            "nonsense",
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn file_is_told_once() {
        let line = |inode: u64, device: &str| format!("1-2 r-xp 0 {device} {inode} /a\n");
        let maps = [line(1, "fd:01"), line(1, "fd:02"), line(2, "fd:01"), line(1, "fd:01")];
        let files: Vec<_> = read(maps.concat().as_bytes())
            .unwrap()
            .into_iter()
            .map(|mapping| (mapping.inode, mapping.device))
            .collect();
        assert_eq!(files, [(1, "fd:01".into()), (1, "fd:02".into()), (2, "fd:01".into())]);
    }

    #[test]
    fn own_program_is_mapped() {
        let own = fs::read_link("/proc/self/exe").unwrap();
        let mappings = of_process(std::process::id()).unwrap();
        assert!(mappings.iter().any(|mapping| mapping.path == own));
    }

    #[test]
    fn child_belongs_to_the_tree() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let tree = trees_of([std::process::id()].into_iter());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree.contains(&child.id()));
        assert!(tree.contains(&std::process::id()));
    }
}
