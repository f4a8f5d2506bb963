//! The comparison of the acceptance cases: what is expected must be contained in what was printed.

use serde_json::Value;

/// Says where `got` does not contain `want`: objects may hold more keys, arrays have the same length, whole numbers
/// agree exactly, others within 1e-9.
pub fn within(want: &Value, got: &Value, path: &str) -> Result<(), String> {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => want.iter().try_for_each(|(key, want)| {
            let path = format!("{path}/{key}");
            got.get(key).map_or_else(|| Err(format!("{path}: absent")), |got| within(want, got, &path))
        }),
        (Value::Array(wants), Value::Array(gots)) if wants.len() == gots.len() => {
            let pairs = wants.iter().zip(gots).enumerate();
            pairs.into_iter().try_for_each(|(at, (want, got))| within(want, got, &format!("{path}/{at}")))
        }
        (Value::Number(a), Value::Number(b)) => {
            let whole = !a.is_f64() && !b.is_f64();
            let near = || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-9);
            let same = if whole { a == b } else { near() };
            if same { Ok(()) } else { Err(format!("{path}: wanted {want}, got {got}")) }
        }
        _ if want == got => Ok(()),
        _ => Err(format!("{path}: wanted {want}, got {got}")),
    }
}

/// Says where the printed lines do not contain the expected ones, line by line.
pub fn lines_within(want: &[Value], got: &[Value]) -> Result<(), String> {
    for (at, want) in want.iter().enumerate() {
        let line = at + 1;
        let got = got.get(at).ok_or_else(|| format!("line {line} is absent: {want}"))?;
        within(want, got, "")
            .map_err(|difference| format!("line {line}: {difference}\nwanted {want}\n   got {got}"))?;
    }
    match got.get(want.len()) {
        Some(extra) => Err(format!("{} lines, wanted {}; first extra: {extra}", got.len(), want.len())),
        None => Ok(()),
    }
}

/// Fails unless the printed lines contain the expected ones, line by line.
#[track_caller]
pub fn assert_lines(want: &[Value], got: &[Value]) {
    if let Err(difference) = lines_within(want, got) {
        panic!("{difference}");
    }
}

/// Fails unless `got` contains `want`.
#[track_caller]
pub fn assert_within(want: &Value, got: &Value) {
    if let Err(difference) = within(want, got, "") {
        panic!("{difference}\nwanted {want}\n   got {got}");
    }
}
