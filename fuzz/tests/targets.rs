//! Every target over its corpus, then over what chance makes of it, for some seconds: always the same cases in the
//! same order, so that a failure comes again. Coverage-guided fuzzing is `fuzz/run`.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long each target goes on behind its corpus; QUORATE_FUZZ_SECONDS says otherwise.
const SECONDS: u64 = 4;

/// The longest input made by chance, in bytes. The plans' limits are lower.
const LONGEST: usize = 3_000;

#[test]
fn decode() {
    drive("decode", quorate_fuzz::decode);
}

#[test]
fn document() {
    drive("document", quorate_fuzz::document);
}

#[test]
fn replay() {
    drive("replay", quorate_fuzz::replay);
}

#[expect(clippy::disallowed_methods, reason = "the clock decides how many cases there are, never what is in them")]
fn drive(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    for (file, bytes) in &corpus {
        assert!(catch_unwind(|| target(bytes)).is_ok(), "{name} fails on {}", file.display());
    }
    let seconds = std::env::var("QUORATE_FUZZ_SECONDS").map_or(SECONDS, |text| text.parse().expect("whole seconds"));
    let began = Instant::now();
    let mut case = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        let bytes = made(&corpus, case);
        if catch_unwind(|| target(&bytes)).is_err() {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{case}"));
            fs::write(&file, &bytes).expect("written");
            panic!("{name} fails in case {case}: cargo run -p quorate-fuzz --bin {name} -- {}", file.display());
        }
        case += 1;
    }
    assert!(seconds == 0 || case > 0);
}

/// The files of a target's corpus, sorted by name.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.map(|file| (file.clone(), fs::read(file).expect("a readable file"))).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// The input of one case: two files of the corpus cut together and damaged, or nothing but chance.
fn made(corpus: &[(PathBuf, Vec<u8>)], case: u64) -> Vec<u8> {
    let mut chance = Chance(case);
    let mut bytes = match chance.below(4) {
        0 => (0..chance.below(600)).map(|_| chance.byte()).collect(),
        _ => {
            let [mut one, two] = [0, 0].map(|_| corpus[chance.below(corpus.len())].1.clone());
            if chance.below(3) == 0 {
                one.truncate(chance.below(one.len() + 1));
                one.extend_from_slice(&two[chance.below(two.len() + 1)..]);
            }
            one
        }
    };
    for _ in 0..chance.below(5) {
        damage(&mut bytes, &mut chance);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    const PIECES: [&[u8]; 12] =
        [b"[", b"]", b"{", b"}", b",", b":", b"null", b"\"\"", b"1e309", b"\\u0000", b"\xff", b"\"stationId\":\"S\","];
    let at = chance.below(bytes.len() + 1);
    match chance.below(5) {
        0 if at < bytes.len() => bytes[at] = chance.byte(),
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => {
            let end = at + chance.below(bytes.len() + 1 - at).min(32);
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        3 => bytes.insert(at, chance.byte()),
        _ => drop(bytes.splice(at..at, PIECES[chance.below(PIECES.len())].iter().copied())),
    }
}

/// Numbers by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or(0) % count.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }
}
