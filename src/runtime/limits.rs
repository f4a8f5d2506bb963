//! What the system lets the process have: a service that cannot have enough does not begin. Knows nothing of what for.

use std::fs;

use thiserror::Error;

/// Files and connections of a process, and of each of its Kafka clients. Measured with one broker: 126 for six clients.
const FILES: (u64, u64) = (32, 16);
/// Address space likewise, in bytes: mostly stacks of threads and what their allocators set aside. Measured: 1.3 GB.
const ADDRESS_SPACE: (u64, u64) = (512 << 20, 128 << 20);

/// A limit that is too low.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the system allows this process {allowed} {of}, its {clients} Kafka clients need about {least}; {remedy}")]
pub struct TooLittle {
    of: &'static str,
    allowed: u64,
    least: u64,
    clients: usize,
    remedy: &'static str,
}

/// Whether the limits are enough for so many Kafka clients. Where the system does not tell its limits they are.
///
/// # Errors
/// The first one that is not.
pub fn check_limits(clients: usize) -> Result<(), TooLittle> {
    judge(&fs::read_to_string("/proc/self/limits").unwrap_or_default(), clients)
}

fn judge(limits: &str, clients: usize) -> Result<(), TooLittle> {
    let rows = [
        ("Max open files", "open files", FILES, "raise it with `ulimit -n`, or LimitNOFILE= of a systemd unit"),
        (
            "Max address space",
            "bytes of address space",
            ADDRESS_SPACE,
            "lift it with `ulimit -v unlimited`, and bound memory by a control group",
        ),
    ];
    for (name, of, (once, each), remedy) in rows {
        let least = once + each * clients as u64;
        match allowed(limits, name) {
            Some(allowed) if allowed < least => return Err(TooLittle { of, allowed, least, clients, remedy }),
            _ => {}
        }
    }
    Ok(())
}

/// The soft limit; none when there is none.
fn allowed(limits: &str, name: &str) -> Option<u64> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux writes it.
    fn limits(files: &str, space: &str) -> String {
        format!(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            {files:<20} 524288               files     \n\
             Max address space         {space:<20} unlimited            bytes     \n"
        )
    }

    #[test]
    fn the_usual_limits_are_enough_and_so_is_not_knowing_them() {
        assert_eq!(judge(&limits("1024", "unlimited"), 60), Ok(()));
        assert_eq!(judge("", 60), Ok(()));
    }

    #[test]
    fn a_limit_that_is_too_low_is_named_with_what_is_needed_and_what_to_do() {
        let files = judge(&limits("64", "unlimited"), 6).expect_err("too few").to_string();
        assert!(
            files.contains("64 open files, its 6 Kafka clients need about 128; raise it with `ulimit -n`"),
            "{files}"
        );
        let space = judge(&limits("1024", "600000000"), 6).expect_err("too little").to_string();
        assert!(space.contains("600000000 bytes of address space"), "{space}");
    }
}
