//! How much memory there is for this process, by what Linux says in files.

/// The default budget is this part of the memory there is.
const PART: u64 = 2;

/// The default budget where nothing says how much memory there is, in bytes.
const UNKNOWN: u64 = 1 << 30;

/// Half of the least of: the machine's memory, the limits of the control groups that the process is in (version 2 or 1),
/// and its address space (`ulimit -v`). 1 GiB where none of them is known. `read` reads a file, if it is there.
pub(super) fn half_of_memory(read: impl Fn(&str) -> Option<String>) -> usize {
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(files_of_group).filter_map(|file| read(&file)?.trim().parse().ok());
    let machine = read("/proc/meminfo").and_then(|text| number_behind(&text, "MemTotal:")?.checked_mul(1 << 10));
    let space = read("/proc/self/limits").and_then(|text| number_behind(&text, "Max address space"));
    let memory = limits.chain(machine).chain(space).filter(|limit| *limit > 0).min();
    usize::try_from(memory.map_or(UNKNOWN, |memory| memory / PART)).unwrap_or(usize::MAX)
}

/// The files with the limits of a group and of those it is in, by its line in `/proc/self/cgroup`: `0::/a/b`, or
/// `5:memory:/a/b`. Within a container the path may be one outside; then the topmost is the container's.
fn files_of_group(line: &str) -> Vec<String> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, name) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        list if list.split(',').any(|it| it == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let path = path.trim_end_matches('/');
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| format!("{root}{}/{name}", &path[..end])).collect()
}

/// The number that follows a name at the begin of a line.
fn number_behind(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::half_of_memory;

    const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree:         900 kB\n");
    const NO_LIMITS: (&str, &str) = (
        "/proc/self/limits",
        "Limit  Soft Limit  Hard Limit  Units\nMax address space   unlimited   unlimited  bytes\n",
    );

    fn half(files: &[(&str, &str)]) -> usize {
        half_of_memory(|path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_least_of_what_bounds_the_process_counts() {
        assert_eq!(half(&[MEMINFO, NO_LIMITS]), 8_000_000 << 10, "the machine's");
        let v2 = ("/proc/self/cgroup", "0::/a/b\n");
        let unbounded = ("/sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(half(&[MEMINFO, NO_LIMITS, v2, unbounded]), 8_000_000 << 10);
        let of_parent = ("/sys/fs/cgroup/a/memory.max", "536870912\n");
        assert_eq!(half(&[MEMINFO, NO_LIMITS, v2, unbounded, of_parent]), 256 << 20, "a group's it is in");
        let v1 = ("/proc/self/cgroup", "7:cpu,cpuacct:/x\n5:blkio,memory:/docker/1234\n");
        let of_container = ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n");
        assert_eq!(half(&[MEMINFO, v1, of_container]), 50 << 20, "a container's");
        let space =
            ("/proc/self/limits", "Max address space         268435456            unlimited            bytes\n");
        assert_eq!(half(&[MEMINFO, v2, of_parent, space]), 128 << 20, "ulimit -v");
    }

    #[test]
    fn where_nothing_is_known_it_is_a_gibibyte() {
        assert_eq!(half(&[]), 1 << 30);
        assert_eq!(half(&[("/proc/meminfo", "MemTotal: much"), ("/proc/self/cgroup", "0:\n:\n0::\n")]), 1 << 30);
        assert_eq!(half(&[("/proc/self/cgroup", "0::/"), ("/sys/fs/cgroup/memory.max", "0")]), 1 << 30);
    }

    #[test]
    fn a_group_that_is_not_of_memory_does_not_bound_it() {
        let cpu = ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n");
        assert_eq!(half(&[cpu, ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4096")]), 1 << 30);
    }
}
