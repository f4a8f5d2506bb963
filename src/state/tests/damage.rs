//! Bytes that changed on disk: a store is what was written, or it is set aside; never less than what was acknowledged,
//! never a panic.

use std::fs;

use super::*;

struct Original {
    dir: tempfile::TempDir,
    files: Vec<(&'static str, Vec<u8>)>,
    content: Changes,
}

impl Original {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = opened(dir.path()).store;
        for number in 1..4 {
            flush(&store, numbered(number, 40));
        }
        wait(store.raise(vec![ceiling(50)])).expect("raised");
        let content = loaded(&store);
        drop(store);
        let files = ["state.redb", "ceilings"].map(|name| (name, fs::read(dir.path().join(name)).expect("readable")));
        Self { dir, files: files.into(), content }
    }

    /// Opens a copy in which one file was changed. Whether it was intact.
    #[track_caller]
    fn is_intact_with(&self, file: &str, changed: &[u8], what: &str) -> bool {
        let dir = tempfile::tempdir_in(self.dir.path()).expect("a folder");
        for (name, content) in &self.files {
            let content = if *name == file { changed } else { content };
            fs::write(dir.path().join(name), content).expect("written");
        }
        let Opened { store, positions, ceilings, is_fresh, set_aside, .. } = opened(dir.path());
        if set_aside.is_none() {
            assert!(!is_fresh, "{what}: silently empty");
            assert_eq!((positions, ceilings), (vec![position(3)], vec![ceiling(50)]), "{what}");
            assert_eq!(loaded(&store), self.content, "{what}");
        }
        set_aside.is_none()
    }
}

/// Spread over all places of a file, other ones for every file, the same at every run.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    let stride = length as f64 / count as f64;
    (0..count)
        .map(move |nth| (nth as f64 * stride) as usize + (nth * 7919) % (stride as usize).max(1))
        .filter(move |at| *at < length)
}

#[test]
fn row_17_a_flipped_byte_anywhere_is_harmless_or_found_out() {
    let original = Original::new();
    let mut intact = [0, 0];
    for (name, content) in &original.files {
        // The header of the database and the whole of the small file, byte by byte; the rest in samples.
        let head = 0..content.len().min(320);
        for at in head.chain(places(content.len(), 150)) {
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            let is_intact = original.is_intact_with(name, &changed, &format!("{name}: byte {at}"));
            intact[usize::from(is_intact)] += 1;
        }
    }
    assert!(intact.iter().all(|count| *count > 0), "both happen: {intact:?}");
}

#[test]
fn row_17_a_file_that_was_cut_is_found_out() {
    let original = Original::new();
    for (name, content) in &original.files {
        for length in places(content.len(), 60) {
            let is_intact = original.is_intact_with(name, &content[..length], &format!("{name}: cut at {length}"));
            assert!(!is_intact, "{name}: cut at {length}");
        }
    }
}
