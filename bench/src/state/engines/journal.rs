//! The least that keeps what it is given: a file of frames, each with its checksum, read up to the first bad one.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Failure, Store};
use crate::state::content::{Content, Tally, entries};

pub struct Journal {
    file: File,
    entries: HashMap<Vec<u8>, Vec<u8>>,
}

impl Journal {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(dir.join("journal"))?;
        let mut reader = BufReader::new(&file);
        let mut entries = HashMap::new();
        let mut header = [0; 12];
        // A frame that was cut off or changed ends it: whether there were more cannot be told.
        while reader.read_exact(&mut header).is_ok() {
            let length = u64::from_le_bytes(header[..8].try_into()?);
            let mut frame = Vec::new();
            (&mut reader).take(length).read_to_end(&mut frame)?;
            if crc32c::crc32c(&frame) != u32::from_le_bytes(header[8..].try_into()?) {
                break;
            }
            let mut rest = frame.as_slice();
            while let (Some(key), Some(value)) = (part(&mut rest), part(&mut rest)) {
                entries.insert(key, value);
            }
        }
        Ok(Self { file, entries })
    }
}

fn part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(part.to_vec())
}

impl Store for Journal {
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure> {
        let entries = entries(number, slots);
        let began = Instant::now();
        let mut frame = Vec::new();
        for (key, value) in entries {
            frame.extend_from_slice(&(key.len() as u32).to_le_bytes());
            frame.extend_from_slice(&key);
            frame.extend_from_slice(&(value.len() as u32).to_le_bytes());
            frame.extend_from_slice(&value);
        }
        let header = [&(frame.len() as u64).to_le_bytes()[..], &crc32c::crc32c(&frame).to_le_bytes()].concat();
        self.file.write_all(&header)?;
        self.file.write_all(&frame)?;
        self.file.sync_data()?;
        Ok(began.elapsed())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let mut tally = Tally::new(first);
        self.entries.iter().for_each(|(key, value)| tally.take(key, value));
        Ok(tally.content())
    }
}
