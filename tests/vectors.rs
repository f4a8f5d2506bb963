//! The acceptance cases of the replay contract, run with the real binary: every expected line is contained in the line
//! printed at its place, twice the same bytes, nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn every_acceptance_case_of_replay_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("case").path()).collect();
    cases.sort();
    assert_eq!(cases.len(), 17);
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().expect("a name").to_string_lossy().into_owned();
    let first = replay(case);
    if !first.status.success() {
        return Err(format!("{name}: {}: {}", first.status, String::from_utf8_lossy(&first.stderr)));
    }
    if first.stdout != replay(case).stdout {
        return Err(format!("{name}: two runs printed different bytes"));
    }
    let (got, want) = (lines(&first.stdout), lines(&fs::read(case.join("expected.ndjson")).expect("expected")));
    if got.len() != want.len() {
        return Err(format!("{name}: {} lines, wanted {}", got.len(), want.len()));
    }
    for (line, (want, got)) in (1..).zip(want.iter().zip(&got)) {
        within(want, got).map_err(|path| format!("{name}: line {line}: {path}"))?;
    }
    Ok(())
}

fn replay(case: &Path) -> Output {
    let empty = tempfile::tempdir().expect("a folder");
    let args = fs::read_to_string(case.join("args")).expect("args");
    let output = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .arg("replay")
        .arg("-c")
        .arg(case.join("config.toml"))
        .arg("--input")
        .arg(case.join("records.ndjson"))
        .args(args.split_whitespace())
        .current_dir(empty.path())
        .output()
        .expect("the binary runs");
    assert_eq!(fs::read_dir(empty.path()).expect("the folder").count(), 0, "replay left files");
    output
}

fn lines(text: &[u8]) -> Vec<Value> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
}

/// Whether `want` is contained in `got`: objects may hold more keys, arrays have the same length, numbers agree within
/// 1e-9. The error is the path of the first difference.
fn within(want: &Value, got: &Value) -> Result<(), String> {
    let differ = || Err(format!(": wanted {want}, got {got}"));
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => want.iter().try_for_each(|(key, want)| {
            let got = got.get(key).ok_or_else(|| format!("/{key}: absent"))?;
            within(want, got).map_err(|path| format!("/{key}{path}"))
        }),
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => {
            let mut pairs = want.iter().zip(got).enumerate();
            pairs.try_for_each(|(index, (want, got))| within(want, got).map_err(|path| format!("/{index}{path}")))
        }
        (Value::Number(want), Value::Number(got)) => {
            let near = want.as_f64().zip(got.as_f64()).is_some_and(|(want, got)| (want - got).abs() <= 1e-9);
            if near { Ok(()) } else { differ() }
        }
        _ if want == got => Ok(()),
        _ => differ(),
    }
}
