//! All engines side by side: each has a process and a store of its own, and they take turns, so that whatever else runs
//! on the machine disturbs all alike. The windows of a flush are the same for all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::child::{Ask, Flushed, Reopened, Telling, Work, answer, command, start};
use super::content::{ENTRY_BYTES, PARTITIONS, POSITION_BYTES};
use super::engines::{Engine, Failure};
use super::{StateArgs, damage, fresh};

/// Nothing was written for so long: an engine is done with what it does behind its flushes.
const STILL: Duration = Duration::from_millis(600);
/// It is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// One engine's turn: flushes of one size, one right after the other.
pub struct Turn {
    pub engine: Engine,
    pub round: u64,
    pub size: u64,
    pub seconds: Vec<f64>,
    /// Bytes that went to the disk until it was still, over bytes of keys and values.
    pub amplification: f64,
    pub peak_bytes: u64,
}

/// One start. Nobody closed the store before it.
pub struct Start {
    pub engine: Engine,
    pub round: u64,
    /// Nothing of the files was in memory.
    pub cold: bool,
    pub reopened: Reopened,
    pub file_bytes: u64,
}

/// A store that nobody has open.
type Left = (Engine, PathBuf);

/// Fills all stores and has all take their turns. Nobody closes the stores, which are left in these directories.
pub fn turns(args: &StateArgs) -> Result<(Vec<Turn>, Vec<Left>), Failure> {
    let mut running: Vec<(Engine, PathBuf, Telling)> = Vec::new();
    for &engine in &args.engines {
        let dir = fresh(&args.dir.join(format!("{engine:?}")))?;
        let mut child = start(&mut command(engine, &dir, Work::Measure, args.slots))?;
        let _filled: u64 = child.next()?;
        still(child.pid());
        running.push((engine, dir, child));
    }
    let mut turns = Vec::new();
    let places = running.len();
    for round in 0..args.rounds {
        for &size in &args.sizes {
            for nth in 0..places {
                let (engine, _, child) = &mut running[(nth + round as usize) % places];
                turns.push(turn(*engine, child, round, size)?);
            }
        }
    }
    let mut stores = Vec::new();
    for (engine, dir, child) in running {
        child.kill()?;
        stores.push((engine, dir));
    }
    Ok((turns, stores))
}

/// Opens and reads all stores, in turns, and removes them.
pub fn starts(args: &StateArgs, stores: &[Left]) -> Result<Vec<Start>, Failure> {
    let mut starts = Vec::new();
    for round in 0..args.rounds {
        for cold in [true, false] {
            for nth in 0..stores.len() {
                let (engine, dir) = &stores[(nth + round as usize) % stores.len()];
                if cold {
                    chill(dir)?;
                }
                let file_bytes = allocated(dir)?;
                let reopened: Reopened = answer(&mut command(*engine, dir, Work::Reopen, args.slots))?;
                assert_eq!(reopened.slots, args.slots, "{engine:?} lost windows");
                starts.push(Start { engine: *engine, round, cold, reopened, file_bytes });
            }
        }
    }
    for (_, dir) in stores {
        fs::remove_dir_all(dir)?;
    }
    Ok(starts)
}

fn turn(engine: Engine, child: &mut Telling, round: u64, size: u64) -> Result<Turn, Failure> {
    let flushes = (30_000 / size).clamp(2, 10);
    let before = written(child.pid());
    let mut asked = Vec::new();
    for nth in 0..flushes {
        asked.push(child.ask(Ask { size, seed: round << 40 | size << 8 | nth })?);
    }
    still(child.pid());
    let given = flushes * (size * ENTRY_BYTES + PARTITIONS.unsigned_abs() as u64 * POSITION_BYTES);
    Ok(Turn {
        engine,
        round,
        size,
        amplification: (written(child.pid()) - before) as f64 / given as f64,
        peak_bytes: asked.iter().map(|flushed| flushed.peak_bytes).max().unwrap_or(0),
        seconds: asked.iter().map(|Flushed { seconds, .. }| *seconds).collect(),
    })
}

/// Waits until a process writes nothing.
fn still(pid: u32) {
    let began = Instant::now();
    let mut before = written(pid);
    loop {
        std::thread::sleep(STILL);
        let bytes = written(pid);
        if bytes == before || began.elapsed() > PATIENCE {
            return;
        }
        before = bytes;
    }
}

/// Bytes a process caused to be written to disks.
fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Bytes on the disk; files have holes.
fn allocated(dir: &Path) -> Result<u64, Failure> {
    let blocks = |(path, _): &(PathBuf, u64)| Ok(fs::metadata(path)?.blocks());
    let blocks: Result<u64, Failure> = damage::files(dir)?.iter().map(blocks).sum();
    Ok(blocks? * 512)
}

/// Has the kernel forget what it keeps of files, and of no others.
fn chill(dir: &Path) -> Result<(), Failure> {
    for (path, _) in damage::files(dir)? {
        let file = fs::File::open(path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}
