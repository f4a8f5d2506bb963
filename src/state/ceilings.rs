//! The file of ceilings: small, replaced as a whole, never waiting for a flush. It also says which commit of the
//! database was acknowledged last, so that a database that lost one is found out.
//!
//! Layout: `[QUORCEIL][format, 4 bytes][CRC-32C of format and the rest][the rest]`, numbers little endian; the first 16
//! bytes stay so in every format.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use quorate_core::ident::Partition;

use super::FORMAT;
use super::directory::{create_private, sync};
use super::disk;
use crate::fault::{fail_point, kill_point};
use crate::pipeline::durable::StoredCeiling;

const MAGIC: [u8; 8] = *b"QUORCEIL";

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no file.
    Nothing,
    /// It is not as it was written.
    Torn,
    /// It has this newer format.
    Newer(u32),
    /// The last acknowledged commit, and all ceilings.
    Whole(u64, Vec<StoredCeiling>),
}

/// The file as it stands. There is one, owned by whoever has the directory open.
#[derive(Debug)]
pub(super) struct Ceilings {
    dir: PathBuf,
    sequence: u64,
    by_partition: BTreeMap<(Arc<str>, Partition), StoredCeiling>,
}

impl Ceilings {
    /// The name of the file.
    pub(super) const FILE: &str = "ceilings";
    /// Its next content, while it is being written.
    pub(super) const NEXT: &str = "ceilings.next";

    /// What was found in a directory, or nothing yet.
    pub(super) fn new(dir: &Path, sequence: u64, ceilings: Vec<StoredCeiling>) -> Self {
        let mut file = Self { dir: dir.to_owned(), sequence, by_partition: BTreeMap::new() };
        file.take(ceilings);
        file
    }

    /// Replaces ceilings, durably.
    pub(super) fn raise(&mut self, ceilings: Vec<StoredCeiling>) -> io::Result<()> {
        self.take(ceilings);
        kill_point("store_before_raise");
        self.write()?;
        kill_point("store_after_raise");
        Ok(())
    }

    /// Notes, durably, that the commit of this number is about to be acknowledged.
    pub(super) fn committed(&mut self, sequence: u64) -> io::Result<()> {
        self.sequence = sequence;
        self.write()
    }

    fn take(&mut self, ceilings: Vec<StoredCeiling>) {
        for ceiling in ceilings {
            self.by_partition.insert((Arc::clone(&ceiling.topic), ceiling.partition), ceiling);
        }
    }

    /// The file is whole at every moment: either the old one or the new one stands under its name.
    fn write(&self) -> io::Result<()> {
        let ceilings = self.by_partition.values().map(Into::into).collect();
        let content = encode(&disk::Ceilings { sequence: self.sequence, ceilings });
        let next = self.dir.join(Self::NEXT);
        let mut file = create_private(&next)?;
        file.set_len(0)?;
        file.write_all(&content)?;
        fail_point("ceilings_sync")?;
        file.sync_all()?;
        std::fs::rename(&next, self.dir.join(Self::FILE))?;
        sync(&self.dir)
    }
}

/// Reads the file of a directory.
pub(super) fn read(dir: &Path) -> io::Result<Found> {
    match std::fs::read(dir.join(Ceilings::FILE)) {
        Ok(content) => Ok(decode(&content)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(e) => Err(e),
    }
}

fn encode(content: &disk::Ceilings) -> Vec<u8> {
    let mut checked = FORMAT.to_le_bytes().to_vec();
    content.encode(&mut checked).expect("a vector grows as needed");
    let sum = crc32c::crc32c(&checked).to_le_bytes();
    [&MAGIC[..], &checked[..4], &sum, &checked[4..]].concat()
}

fn decode(content: &[u8]) -> Found {
    let parts = || {
        let rest = content.strip_prefix(&MAGIC)?;
        let (format, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let is_whole = crc32c::crc32c_append(crc32c::crc32c(format), rest) == u32::from_le_bytes(*sum);
        is_whole.then_some((u32::from_le_bytes(*format), rest))
    };
    match parts() {
        Some((format, _)) if format > FORMAT => Found::Newer(format),
        Some((_, rest)) => match disk::Ceilings::decode(rest) {
            Ok(content) => Found::Whole(content.sequence, content.ceilings.into_iter().map(Into::into).collect()),
            Err(_) => Found::Torn,
        },
        None => Found::Torn,
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ident::NextOffset;

    use super::*;

    fn ceiling(partition: Partition, at: i64) -> StoredCeiling {
        StoredCeiling { topic: "T".into(), partition, incarnation: 1, at: NextOffset(at) }
    }

    #[test]
    fn what_was_raised_is_found_and_the_newest_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read(dir.path()).expect("readable"), Found::Nothing);
        let mut file = Ceilings::new(dir.path(), 4, vec![ceiling(0, 5)]);
        file.raise(vec![ceiling(1, 7), ceiling(0, 9)]).expect("written");
        file.committed(5).expect("written");
        assert_eq!(read(dir.path()).expect("readable"), Found::Whole(5, vec![ceiling(0, 9), ceiling(1, 7)]));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let content = encode(&disk::Ceilings { sequence: 3, ceilings: vec![(&ceiling(0, 8)).into()] });
        for bit in 0..content.len() * 8 {
            let mut harmed = content.clone();
            harmed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&harmed), Found::Torn, "bit {bit}");
        }
        for length in 0..content.len() {
            assert_eq!(decode(&content[..length]), Found::Torn, "{length} bytes");
        }
    }

    #[test]
    fn the_bytes_of_the_file_do_not_change() {
        let content = encode(&disk::Ceilings { sequence: 300, ceilings: vec![(&ceiling(2, 8)).into()] });
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "51554f524345494c010000004597d20008ac0212090a0154100418012010");
    }

    #[test]
    fn a_newer_format_is_told_from_a_torn_file() {
        let rest = [&[2, 0, 0, 0][..], b"whatever comes"].concat();
        let sum = crc32c::crc32c(&rest).to_le_bytes();
        assert_eq!(decode(&[&MAGIC[..], &rest[..4], &sum, &rest[4..]].concat()), Found::Newer(2));
    }
}
