//! Places where a test lets the process die, as a power cut would. They are part of debug builds only.

/// The environment variable that names a place and the passing of it that kills: `store_before_commit:3`.
pub const KILL_POINT: &str = "QUORATE_KILL_POINT";

/// Passes a place of this name. Aborts the process, without any clean-up, if [`KILL_POINT`] says so.
#[inline]
pub fn kill_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Fuse {
        name: String,
        left: AtomicU64,
    }

    pub(super) fn pass(name: &str) {
        static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
        let fuse = FUSE.get_or_init(|| parse(&std::env::var(super::KILL_POINT).ok()?));
        if let Some(fuse) = fuse.as_ref().filter(|fuse| fuse.name == name)
            && fuse.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            tracing::error!(point = name, "killed at a point that was asked for");
            std::process::abort();
        }
    }

    fn parse(text: &str) -> Option<Fuse> {
        let (name, nth) = text.split_once(':')?;
        Some(Fuse { name: name.to_owned(), left: AtomicU64::new(nth.parse().ok().filter(|nth| *nth > 0)?) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fuse_is_a_name_and_the_passing_that_kills() {
            let fuse = parse("store_open:2").expect("well formed");
            assert_eq!((fuse.name.as_str(), fuse.left.into_inner()), ("store_open", 2));
            assert!(parse("store_open").is_none() && parse("store_open:0").is_none() && parse("a:b").is_none());
        }
    }
}
