//! A small file beside any engine that holds the number of the last acknowledged flush, replaced as a whole, as quorate's
//! own store has it: an engine that lost the end of its log is found out when it is read.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Failure, Store};
use crate::state::content::Content;

pub struct Witnessed<S> {
    inner: S,
    dir: PathBuf,
    acknowledged: u64,
}

impl<S: Store> Witnessed<S> {
    pub fn new(inner: S, dir: &Path) -> Result<Self, Failure> {
        let acknowledged = match fs::read(dir.join("witness")) {
            Ok(content) => number(&content).ok_or("the witness is not as it was written")?,
            Err(e) if e.kind() == ErrorKind::NotFound => 0,
            Err(e) => return Err(e.into()),
        };
        Ok(Self { inner, dir: dir.to_owned(), acknowledged })
    }
}

fn number(content: &[u8]) -> Option<u64> {
    let (number, sum) = content.split_first_chunk::<8>()?;
    (sum == crc32c::crc32c(number).to_le_bytes()).then_some(u64::from_le_bytes(*number))
}

impl<S: Store> Store for Witnessed<S> {
    fn flush(&mut self, number: u64, slots: &[u64]) -> Result<Duration, Failure> {
        let spent = self.inner.flush(number, slots)?;
        let began = Instant::now();
        let next = self.dir.join("witness.next");
        let mut file = File::create(&next)?;
        let number = number.to_le_bytes();
        file.write_all(&[&number[..], &crc32c::crc32c(&number).to_le_bytes()].concat())?;
        file.sync_all()?;
        fs::rename(&next, self.dir.join("witness"))?;
        File::open(&self.dir)?.sync_all()?;
        Ok(spent + began.elapsed())
    }

    fn read(&mut self, first: u64) -> Result<Content, Failure> {
        let content = self.inner.read(first)?;
        if content.number < self.acknowledged {
            return Err(format!("{} was acknowledged, {} is there", self.acknowledged, content.number).into());
        }
        Ok(content)
    }
}
