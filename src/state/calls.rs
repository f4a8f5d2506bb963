//! Calls under way, in a small file beside the store: written when a call begins and when it ends, without waiting for
//! the disk. It is there for processes that end in the middle of a call, because of it perhaps; what they had written is
//! the system's by then. A file that is lost or damaged costs nothing but that memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{debug, warn};

use super::OpenError;
use super::directory::{create_private, unusable};
use crate::pipeline::durable::{CallLog, Deadly};

const FILE: &str = "calls";
/// What one call takes in the file. Of stations with longer names nothing is noted.
const SLOT: usize = 512;
/// State, deaths, length of the module's name and of the station's, checksum.
const HEADER: usize = 1 + 4 + 1 + 2 + 4;

const FREE: u8 = 0;
const UNDER_WAY: u8 = 1;
/// Not called yet by this process.
const SUSPECT: u8 = 2;

/// The calls of this process.
#[derive(Debug)]
pub struct Calls {
    file: File,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    count: u64,
    free: Vec<u64>,
    /// Calls in the middle of which processes ended, by module and station, with where they stand.
    suspects: HashMap<(String, String), (u64, u32)>,
    is_failing: bool,
}

impl Calls {
    /// Opens the file in `dir`, and tells of calls in the middle of which processes have ended.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Deadly>), OpenError> {
        let path = dir.join(FILE);
        let of = |e: &io::Error| unusable("cannot use", &path, e);
        let mut file = create_private(&path).map_err(|e| of(&e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| of(&e))?;
        let deadly: Vec<Deadly> = bytes.chunks(SLOT).filter_map(read).collect();
        let mut slots = Slots::default();
        file.set_len(0).map_err(|e| of(&e))?;
        for Deadly { module, station, deaths } in &deadly {
            let (at, names) = (slots.take(), (module.clone(), station.clone()));
            let slot = written(SUSPECT, *deaths, module, station).unwrap_or_default();
            file.write_all_at(&slot, at * SLOT as u64).map_err(|e| of(&e))?;
            slots.suspects.insert(names, (at, *deaths));
        }
        Ok((Self { file, slots: Mutex::new(slots) }, deadly))
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A note that cannot be taken is missing if the process dies; nothing else depends on it.
    fn note(&self, at: u64, bytes: &[u8]) {
        let outcome = self.file.write_all_at(bytes, at * SLOT as u64);
        let was_failing = std::mem::replace(&mut self.slots().is_failing, outcome.is_err());
        match outcome {
            Err(error) if was_failing => debug!(%error, "call not noted"),
            Err(error) => warn!(%error, "calls under way cannot be noted"),
            Ok(()) => {}
        }
    }
}

impl CallLog for Calls {
    fn began(&self, module: &str, station: &str) -> Option<u64> {
        let mut slots = self.slots();
        let known = match slots.suspects.is_empty() {
            true => None,
            false => slots.suspects.get(&(module.to_owned(), station.to_owned())).copied(),
        };
        let slot = written(UNDER_WAY, known.map_or(0, |(_, deaths)| deaths), module, station)?;
        let at = known.map_or_else(|| slots.take(), |(at, _)| at);
        drop(slots);
        self.note(at, &slot);
        Some(at)
    }

    fn ended(&self, at: u64) {
        self.note(at, &[FREE]);
        let mut slots = self.slots();
        slots.suspects.retain(|_, (of, _)| *of != at);
        slots.free.push(at);
    }
}

impl Slots {
    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

/// The bytes of a slot; none when the names are too long for one.
fn written(state: u8, deaths: u32, module: &str, station: &str) -> Option<Vec<u8>> {
    if HEADER + module.len() + station.len() > SLOT {
        return None;
    }
    let mut slot = vec![state];
    slot.extend(deaths.to_le_bytes());
    slot.push(u8::try_from(module.len()).ok()?);
    slot.extend(u16::try_from(station.len()).ok()?.to_le_bytes());
    slot.extend([0; 4]);
    slot.extend(module.bytes());
    slot.extend(station.bytes());
    let sum = checksum(&slot);
    slot[8..HEADER].copy_from_slice(&sum.to_le_bytes());
    Some(slot)
}

/// The call in a slot, counted once more if it was under way. What follows it is left over from another one.
fn read(slot: &[u8]) -> Option<Deadly> {
    let header = slot.first_chunk::<HEADER>()?;
    let [state, d0, d1, d2, d3, module, s0, s1, sum @ ..] = *header;
    let (module, station) = (usize::from(module), usize::from(u16::from_le_bytes([s0, s1])));
    let whole = slot.get(..HEADER + module + station)?;
    let is_whole = matches!(state, UNDER_WAY | SUSPECT) && u32::from_le_bytes(sum) == checksum(whole);
    let deaths = u32::from_le_bytes([d0, d1, d2, d3]);
    let (module, station) = whole[HEADER..].split_at(module);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    is_whole.then_some(())?;
    let deaths = deaths.saturating_add(u32::from(state == UNDER_WAY));
    Some(Deadly { module: text(module)?, station: text(station)?, deaths })
}

fn checksum(slot: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&slot[..8]), &slot[HEADER..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> (Calls, Vec<(String, u32)>) {
        let (calls, deadly) = Calls::open(dir).expect("a folder to write in");
        let mut deadly: Vec<_> =
            deadly.into_iter().map(|of| (format!("{} {}", of.module, of.station), of.deaths)).collect();
        deadly.sort();
        (calls, deadly)
    }

    fn deaths(of: &[(&str, u32)]) -> Vec<(String, u32)> {
        of.iter().map(|(of, deaths)| ((*of).to_owned(), *deaths)).collect()
    }

    #[test]
    fn calls_in_the_middle_of_which_a_process_ends_are_counted_until_one_ends_by_itself() {
        let dir = tempfile::tempdir().expect("a folder");
        let (calls, known) = open(dir.path());
        assert_eq!(known, []);
        let done = calls.began("m", "a longer name").expect("room");
        calls.began("m", "S1").expect("room");
        calls.ended(done);
        calls.began("m", "S2").expect("room");
        drop(calls);
        let (calls, known) = open(dir.path());
        assert_eq!(known, deaths(&[("m S1", 1), ("m S2", 1)]));
        calls.began("m", "S1").expect("room");
        drop(calls);
        let (calls, known) = open(dir.path());
        assert_eq!(known, deaths(&[("m S1", 2), ("m S2", 1)]), "one was not called meanwhile");
        calls.ended(calls.began("m", "S1").expect("room"));
        calls.ended(calls.began("n", "S2").expect("room"));
        drop(calls);
        let (_, known) = open(dir.path());
        assert_eq!(known, deaths(&[("m S2", 1)]));
    }

    #[test]
    fn what_cannot_be_read_is_no_call_and_what_is_too_long_is_not_noted() {
        let dir = tempfile::tempdir().expect("a folder");
        let (calls, _) = open(dir.path());
        assert_eq!(calls.began("m", &"x".repeat(SLOT)), None);
        calls.began("m", "S1").expect("room");
        calls.began("m", "S2").expect("room");
        drop(calls);
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes[HEADER] ^= 1;
        bytes.truncate(SLOT + HEADER);
        std::fs::write(&path, bytes).expect("the file");
        assert_eq!(open(dir.path()).1, []);
    }
}
