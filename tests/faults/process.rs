//! What the system says of a process: memory, threads, open files.

use std::fs;

/// A process by its id, dead or alive; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// A number of `/proc/<id>/status`: `VmRSS` and `VmHWM` are the memory it holds and the most it held, in KiB,
    /// `Threads` how many it has. None when there is no such process.
    pub fn status(self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.split_whitespace().next()?.parse().ok()
    }

    /// Files, sockets and the like that it has open; none when there is no such process.
    pub fn open_files(self) -> Option<u64> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.0)).ok()?.count() as u64)
    }
}

#[test]
fn this_process_holds_some_memory_has_threads_and_files() {
    let (this, none) = (Process(std::process::id()), Process(0));
    assert!(this.status("VmHWM").expect("alive") >= this.status("VmRSS").expect("alive") / 2);
    assert!(this.status("VmRSS").expect("alive") > 1024);
    assert!(this.status("Threads").expect("alive") >= 2, "the test has one of its own");
    assert!(this.open_files().expect("alive") > 2);
    assert_eq!((none.status("VmRSS"), none.open_files()), (None, None));
}
