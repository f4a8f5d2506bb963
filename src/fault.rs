//! Places where a test lets the process die, stand still or its disk fail, consumers to which nothing comes, and a wall
//! clock that a test sets. They are part of debug builds only.

use std::io;

/// The environment variable that names a place and the passing of it that kills: `store_before_commit:3`.
pub const KILL_POINT: &str = "QUORATE_KILL_POINT";
/// The environment variable that names such a place, the passing of it that stands still, and for how many milliseconds:
/// `after_poll:3:9000`. Whoever passes is held up, and nobody else.
pub const HOLD_POINT: &str = "QUORATE_HOLD_POINT";
/// The environment variable that names a place and the passing of it that fails: `device_sync:3`. Those before and after
/// it do not.
pub const FAIL_POINT: &str = "QUORATE_FAIL_POINT";
/// The environment variable that names a module and a station: the process dies in each such call, `digest/S1`.
pub const DEADLY_CALL: &str = "QUORATE_DEADLY_CALL";
/// The environment variable that names a file with a number: by so many milliseconds the wall clock goes wrong.
pub const CLOCK_FILE: &str = "QUORATE_CLOCK_FILE";

/// Passes a place of this name. Aborts the process, without any clean-up, if [`KILL_POINT`] says so, and stands still if
/// [`HOLD_POINT`] does.
#[inline]
pub fn kill_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// A module is called for a station. Aborts the process if [`DEADLY_CALL`] says so, as a module might that writes where
/// it must not or asks for more memory than there is.
#[inline]
pub fn deadly_call(module: &str, station: &str) {
    #[cfg(debug_assertions)]
    armed::call(module, station);
    #[cfg(not(debug_assertions))]
    let _ = (module, station);
}

/// Passes a place of this name.
///
/// # Errors
/// What a broken device says, if [`FAIL_POINT`] asks for it.
#[inline]
pub fn fail_point(name: &str) -> io::Result<()> {
    #[cfg(debug_assertions)]
    return armed::fail(name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        Ok(())
    }
}

/// From here on nothing comes to the consumers of a group of this process, or comes again: what their clients fetch is
/// lost, and where these stand is not seen.
pub fn deafen(group: &str, deaf: bool) {
    #[cfg(debug_assertions)]
    armed::deafen(group, deaf);
    #[cfg(not(debug_assertions))]
    let _ = (group, deaf);
}

/// Whether nothing comes to the consumers of a group.
#[inline]
#[must_use]
pub fn is_deaf(group: &str) -> bool {
    #[cfg(debug_assertions)]
    return armed::is_deaf(group);
    #[cfg(not(debug_assertions))]
    {
        let _ = group;
        false
    }
}

/// By how many milliseconds the wall clock is wrong, as [`CLOCK_FILE`] says.
#[inline]
#[must_use]
pub fn clock_error_ms() -> i64 {
    #[cfg(debug_assertions)]
    return armed::clock_error_ms();
    #[cfg(not(debug_assertions))]
    0
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    /// "Input/output error" of Linux.
    const EIO: i32 = 5;

    struct Fuse {
        name: String,
        left: AtomicU64,
    }

    impl Fuse {
        fn blows(&self, name: &str) -> bool {
            self.name == name && self.left.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }

    pub(super) fn pass(name: &str) {
        static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
        if FUSE.get_or_init(|| asked(super::KILL_POINT)).as_ref().is_some_and(|fuse| fuse.blows(name)) {
            tracing::error!(point = name, "killed at a point that was asked for");
            std::process::abort();
        }
        static HOLD: OnceLock<Option<(Fuse, Duration)>> = OnceLock::new();
        if let Some((fuse, pause)) = HOLD.get_or_init(asked_to_hold)
            && fuse.blows(name)
        {
            tracing::error!(point = name, ?pause, "held up at a point that was asked for");
            #[expect(clippy::disallowed_methods, reason = "a test asked for a thread that is held up")]
            std::thread::sleep(*pause);
        }
    }

    static DEAF: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    static ANY_DEAF: AtomicBool = AtomicBool::new(false);

    pub(super) fn deafen(group: &str, deaf: bool) {
        let mut groups = DEAF.lock().unwrap_or_else(PoisonError::into_inner);
        if deaf {
            groups.insert(group.to_owned())
        } else {
            groups.remove(group)
        };
        ANY_DEAF.store(!groups.is_empty(), Ordering::Release);
    }

    pub(super) fn is_deaf(group: &str) -> bool {
        ANY_DEAF.load(Ordering::Acquire) && DEAF.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    pub(super) fn call(module: &str, station: &str) {
        static DEADLY: OnceLock<Option<String>> = OnceLock::new();
        let deadly = DEADLY.get_or_init(|| std::env::var(super::DEADLY_CALL).ok());
        if deadly.as_ref().and_then(|deadly| deadly.split_once('/')) == Some((module, station)) {
            tracing::error!(point = "deadly_call", module, station, "killed by a call that was asked to");
            std::process::abort();
        }
    }

    pub(super) fn fail(name: &str) -> io::Result<()> {
        static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
        if FUSE.get_or_init(|| asked(super::FAIL_POINT)).as_ref().is_some_and(|fuse| fuse.blows(name)) {
            tracing::error!(point = name, "failed at a point that was asked for");
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }

    /// A file that cannot be read at the moment changes nothing.
    pub(super) fn clock_error_ms() -> i64 {
        static FILE: OnceLock<Option<OsString>> = OnceLock::new();
        let file = FILE.get_or_init(|| std::env::var_os(super::CLOCK_FILE));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn asked(variable: &str) -> Option<Fuse> {
        parse(&std::env::var(variable).ok()?)
    }

    fn asked_to_hold() -> Option<(Fuse, Duration)> {
        let text = std::env::var(super::HOLD_POINT).ok()?;
        let (place, pause_ms) = text.rsplit_once(':')?;
        Some((parse(place)?, Duration::from_millis(pause_ms.parse().ok()?)))
    }

    fn parse(text: &str) -> Option<Fuse> {
        let (name, nth) = text.split_once(':')?;
        Some(Fuse { name: name.to_owned(), left: AtomicU64::new(nth.parse().ok().filter(|nth| *nth > 0)?) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fuse_is_a_name_and_the_passing_that_blows_it_once() {
            let fuse = parse("store_open:2").expect("well formed");
            let passed = ["store_open", "elsewhere", "store_open", "store_open"].map(|name| fuse.blows(name));
            assert_eq!(passed, [false, false, true, false]);
            assert!(parse("store_open").is_none() && parse("store_open:0").is_none() && parse("a:b").is_none());
        }
    }
}
