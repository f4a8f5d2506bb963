//! Named places at which a test may end the process. Nothing of it is in an optimised build.

/// Ends the process on the spot, as a power cut would, if the environment says so: `QUORATE_KILL_POINT=name:n` names
/// this place, and it is passed for the n-th time.
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

    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pass(name: &str) {
        let armed = ARMED.get_or_init(|| {
            let armed = std::env::var("QUORATE_KILL_POINT").ok()?;
            let (name, nth) = armed.rsplit_once(':')?;
            Some((name.to_owned(), nth.parse().ok()?))
        });
        if let Some((armed, nth)) = armed
            && armed == name
            && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
        {
            std::process::abort();
        }
    }
}
