//! Recorded records, one line after another, from files and standard input. Holds one line at a time, of bounded length;
//! knows nothing of what the records are for.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::slice;

use quorate_core::replay::RecordedRecord;

/// An escaped byte takes six characters (`\u0000`).
const CHARACTERS_PER_BYTE: usize = 6;
/// What a line may hold besides the payload: names, key, headers.
const BESIDES_BYTES: usize = 16 << 20;

const HOW_A_LINE_LOOKS: &str = "each line is one JSON object as `kcat -C -J` or `quorate record` prints it: \
    {\"topic\":\"T\",\"partition\":0,\"offset\":0,\"ts\":1762218000000,\"payload\":\"…\"}; repair or remove this line";
const CUT_OFF: &str = "the last line has no end, the recording was probably cut off: remove that line";

/// Why input cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("{path}: {source}")]
    Open { path: String, source: io::Error },
    #[error("{path}:{line}: {source}")]
    Read { path: String, line: u64, source: io::Error },
    #[error(
        "{path}:{line}: the line has more than {limit_bytes} bytes\n  help: raise `limits.record_bytes`, or remove it"
    )]
    TooLong { path: String, line: u64, limit_bytes: usize },
    #[error("{path}:{line}:{column}: not a recorded record: {what}\n  help: {help}")]
    Line { path: String, line: u64, column: usize, what: String, help: &'static str },
}

/// Several inputs, one after another.
pub(super) struct Input<'a> {
    paths: slice::Iter<'a, PathBuf>,
    current: Option<Current>,
    text: Vec<u8>,
    limit_bytes: usize,
    total_bytes: Option<u64>,
    read_bytes: u64,
}

struct Current {
    path: String,
    line: u64,
    reader: BufReader<Box<dyn Read>>,
}

impl<'a> Input<'a> {
    /// Inputs in this order; `-` is standard input. Records of more than `record_bytes` may still be read, so that
    /// somebody else can refuse them, but no line is held that could not be of such a record.
    ///
    /// # Errors
    /// A file does not exist: better known before an hour of others.
    pub(super) fn new(paths: &'a [PathBuf], record_bytes: usize) -> Result<Self, InputError> {
        let mut total_bytes = Some(0);
        for path in paths.iter().filter(|path| !is_standard_input(path)) {
            let facts =
                fs::metadata(path).map_err(|source| InputError::Open { path: path.display().to_string(), source })?;
            total_bytes = total_bytes.filter(|_| facts.is_file()).map(|total| total + facts.len());
        }
        let total_bytes = total_bytes.filter(|_| !paths.iter().any(|path| is_standard_input(path)));
        let limit_bytes = record_bytes.saturating_mul(CHARACTERS_PER_BYTE).saturating_add(BESIDES_BYTES);
        Ok(Self { paths: paths.iter(), current: None, text: Vec::new(), limit_bytes, total_bytes, read_bytes: 0 })
    }

    /// The bytes of all inputs; none when one of them is no file.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// The bytes read so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Whether the next record has to be read first, perhaps waited for.
    pub(super) fn is_dry(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.reader.buffer().is_empty())
    }

    /// The next record; none after the last one. Empty lines are passed over.
    ///
    /// # Errors
    /// A line that cannot be read or is no record, with its place.
    pub(super) fn next(&mut self) -> Result<Option<RecordedRecord>, InputError> {
        loop {
            if self.current.is_none() {
                let Some(path) = self.paths.next() else { return Ok(None) };
                self.current = Some(Current::open(path)?);
            }
            let Some(current) = &mut self.current else { continue };
            match current.read_line(&mut self.text, self.limit_bytes)? {
                0 => self.current = None,
                read => {
                    self.read_bytes += read as u64;
                    if !self.text.trim_ascii().is_empty() {
                        return current.record(&self.text).map(Some);
                    }
                }
            }
        }
    }
}

impl Current {
    fn open(path: &Path) -> Result<Self, InputError> {
        let shown = path.display().to_string();
        let source: Box<dyn Read> = if is_standard_input(path) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|source| InputError::Open { path: shown.clone(), source })?)
        };
        Ok(Self { path: shown, line: 0, reader: BufReader::with_capacity(1 << 16, source) })
    }

    fn read_line(&mut self, text: &mut Vec<u8>, limit_bytes: usize) -> Result<usize, InputError> {
        text.clear();
        self.line += 1;
        let mut bounded = (&mut self.reader).take(limit_bytes as u64 + 1);
        let read = bounded.read_until(b'\n', text);
        let read = read.map_err(|source| InputError::Read { path: self.path.clone(), line: self.line, source })?;
        if read > limit_bytes {
            return Err(InputError::TooLong { path: self.path.clone(), line: self.line, limit_bytes });
        }
        Ok(read)
    }

    fn record(&self, text: &[u8]) -> Result<RecordedRecord, InputError> {
        serde_json::from_slice(text.trim_ascii_end()).map_err(|error| {
            let what = error.to_string();
            // The line within the line says nothing.
            let place = format!(" at line {} column {}", error.line(), error.column());
            InputError::Line {
                path: self.path.clone(),
                line: self.line,
                column: error.column(),
                what: what.strip_suffix(&place).unwrap_or(&what).to_owned(),
                help: if error.is_eof() && !text.ends_with(b"\n") { CUT_OFF } else { HOW_A_LINE_LOOKS },
            }
        })
    }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}
