//! Kill -9 after flushes that were acknowledged, then one byte changed somewhere: what does the next process find?

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::child::{Work, answer, command, start};
use super::content::Content;
use super::engines::{Engine, Failure};
use super::fresh;

/// Windows in the store.
const SLOTS: u64 = 2_000;

/// How trials ended.
#[derive(Debug, Default)]
struct Outcomes {
    intact: u64,
    refused: u64,
    silent: u64,
}

/// Every engine's outcomes: with the byte changed, and without, as a check of the trial itself.
pub fn table(engines: &[Engine], dir: &Path, trials: u64) -> Result<String, Failure> {
    let mut table = String::from(
        "| engine | trials | intact | refused | acknowledged data silently gone | only killed: refused | silently gone |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for &engine in engines {
        let (mut changed, mut killed) = (Outcomes::default(), Outcomes::default());
        for trial in 0..trials {
            once(engine, dir, trial, true, &mut changed)?;
            once(engine, dir, trial, false, &mut killed)?;
        }
        let Outcomes { intact, refused, silent } = changed;
        let only = format!("{} | {}", killed.refused, killed.silent);
        writeln!(table, "| {engine:?} | {trials} | {intact} | {refused} | {silent} | {only} |")?;
    }
    fs::remove_dir_all(dir)?;
    Ok(table)
}

fn once(engine: Engine, dir: &Path, trial: u64, flips: bool, outcomes: &mut Outcomes) -> Result<(), Failure> {
    let dir = fresh(dir)?;
    let mut writing = start(&mut command(engine, &dir, Work::Write, SLOTS))?;
    let mut acknowledged: u64 = 0;
    for _ in 0..4 + trial % 7 {
        acknowledged = writing.next()?;
    }
    if let Some(last) = writing.kill()?.last() {
        acknowledged = last.trim().parse()?;
    }
    if flips {
        flip(&dir, trial)?;
    }
    match answer::<Content>(&mut command(engine, &dir, Work::Check, SLOTS)) {
        Err(_) => outcomes.refused += 1,
        Ok(found) if found.number < acknowledged || found.lowest < acknowledged || found.slots < SLOTS => {
            outcomes.silent += 1;
        }
        Ok(_) => outcomes.intact += 1,
    }
    Ok(())
}

/// Changes one byte that is not zero, over all files; space that was never used tells nothing.
fn flip(dir: &Path, trial: u64) -> Result<(), Failure> {
    let mut random = (trial + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let files = files(dir)?;
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut at = (random >> 11) % total;
        for (path, length) in &files {
            if at < *length {
                let mut content = fs::read(path)?;
                let byte = &mut content[at as usize];
                if *byte == 0 {
                    break;
                }
                *byte ^= 1 << (random % 8);
                return Ok(fs::write(path, content)?);
            }
            at -= length;
        }
    }
}

/// All files that hold something, with their lengths, in the order of their names.
pub fn files(dir: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, meta) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if meta.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                found.push((path, meta.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}
