//! What single values mean: durations, sizes, counts, names, pointers, choices between words.
//! Knows no key.

use std::time::Duration;

use quorate_core::plan::{Pointer, RecordsPointer};

use super::raw::{Node, Value};
use super::reader::{Misfit, Parsed, listed, nearest};

const DURATION_UNITS: [(&str, i64); 6] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("y", 365 * 86_400_000)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

fn wanted<T>(what: &str, node: &Node) -> Parsed<T> {
    Err(Misfit::new(format!("must be {what}, not {}", node.value.kind())).into())
}

/// A string; of an override also words that happen to look like a number.
pub(super) fn text(node: &Node) -> Parsed<String> {
    match (&node.value, &node.words) {
        (Value::Text(text), _) => Ok(text.clone()),
        (Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Other(_), Some(words)) => {
            Ok(words.trim().to_owned())
        }
        _ => wanted("a string", node),
    }
}

/// A string with something in it.
pub(super) fn name(node: &Node) -> Parsed<String> {
    match text(node)? {
        text if text.trim().is_empty() => Err(Misfit::new("must not be empty").into()),
        text => Ok(text),
    }
}

/// A name that Kafka takes for a topic.
pub(super) fn topic_name(node: &Node) -> Parsed<String> {
    let name = name(node)?;
    check_topic_name(&name).map_err(Misfit::new)?;
    Ok(name)
}

/// Kafka's rule for topic names.
pub(super) fn check_topic_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if matches!(name, "" | "." | "..") || name.len() > 249 || !name.chars().all(legal) {
        return Err(format!("`{name}` is no topic name: 1 to 249 letters, digits, `.`, `_` and `-`"));
    }
    Ok(())
}

/// `true` or `false`.
pub(super) fn flag(node: &Node) -> Parsed<bool> {
    match node.value {
        Value::Bool(flag) => Ok(flag),
        _ => wanted("`true` or `false`", node),
    }
}

/// An integer of a range.
pub(super) fn within(min: i64, max: i64) -> impl Fn(&Node) -> Parsed<i64> {
    move |node| match node.value {
        Value::Integer(number) if (min..=max).contains(&number) => Ok(number),
        Value::Integer(number) => Err(Misfit::new(format!("{number} is not between {min} and {max}")).into()),
        _ => wanted("an integer", node),
    }
}

/// How many of something: at least one.
pub(super) fn count(node: &Node) -> Parsed<usize> {
    let number = within(1, i64::from(i32::MAX))(node)?;
    usize::try_from(number).map_err(|_| Misfit::new("is out of range").into())
}

/// Milliseconds, from a string with a unit; may be zero.
pub(super) fn duration_ms(node: &Node) -> Parsed<i64> {
    let help = "write a number and a unit: `250ms`, `2s`, `15m`, `1h`, `7d`, `1y`";
    let Value::Text(text) = &node.value else {
        return Err(Misfit::new(format!("must be a duration, not {}", node.value.kind())).help(help).into());
    };
    Ok(text_ms(text).ok_or_else(|| Misfit::new(format!("`{text}` is not a duration")).help(help))?)
}

/// A duration as the command line takes it, written as in the file: `250ms`, `2s`, `15m`, `1h`, `7d`, `1y`.
///
/// # Errors
/// A sentence that says how to write one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let ms = text_ms(text).ok_or("write a number and a unit: 250ms, 2s, 15m, 1h, 7d, 1y")?;
    Ok(Duration::from_millis(ms.unsigned_abs()))
}

fn text_ms(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.replace('_', "").parse().ok()?;
    let (_, factor) = DURATION_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(factor)
}

/// Milliseconds, more than none.
pub(super) fn positive_ms(node: &Node) -> Parsed<i64> {
    match duration_ms(node)? {
        0 => Err(Misfit::new("must be longer than nothing").into()),
        ms => Ok(ms),
    }
}

/// A duration, more than none.
pub(super) fn positive(node: &Node) -> Parsed<Duration> {
    positive_ms(node).map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

/// A duration that may be zero.
pub(super) fn duration(node: &Node) -> Parsed<Duration> {
    duration_ms(node).map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

/// Bytes: an integer, or a string with a unit.
pub(super) fn bytes(node: &Node) -> Parsed<usize> {
    let help = "write bytes, or a number and a unit: `64KiB`, `1MiB`, `2GiB`";
    let misfit = |text: &str| Misfit::new(format!("`{text}` is not a size of at least one byte")).help(help);
    let size = match &node.value {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| misfit(&number.to_string()))?,
        Value::Text(text) => {
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, unit) = text.split_at(digits);
            let number: u64 = number.parse().map_err(|_| misfit(text))?;
            let factor = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| factor);
            number.checked_mul(factor.ok_or_else(|| misfit(text))?).ok_or_else(|| misfit(text))?
        }
        _ => return wanted("a size", node),
    };
    match usize::try_from(size) {
        Ok(0) | Err(_) => Err(misfit(&size.to_string()).into()),
        Ok(size) => Ok(size),
    }
}

/// A JSON Pointer.
pub(super) fn pointer(node: &Node) -> Parsed<Pointer> {
    let text = text(node)?;
    Pointer::parse(&text).map_err(|error| bad_pointer(&text, &error.to_string()).into())
}

/// A JSON Pointer that may say "each element".
pub(super) fn records_pointer(node: &Node) -> Parsed<RecordsPointer> {
    let text = text(node)?;
    RecordsPointer::parse(&text).map_err(|error| bad_pointer(&text, &error.to_string()).into())
}

fn bad_pointer(text: &str, error: &str) -> Misfit {
    let misfit = Misfit::new(format!("`{text}`: {error}"));
    if text.starts_with('/') { misfit } else { misfit.help(format!("did you mean `/{}`?", text.replace('.', "/"))) }
}

/// A list whose elements are read one by one, each with its own place.
pub(super) fn list<T>(parse: impl Fn(&Node) -> Parsed<T>) -> impl Fn(&Node) -> Parsed<Vec<T>> {
    move |node| {
        let Value::List(items) = &node.value else { return wanted("a list", node) };
        let (mut values, mut misfits) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(found) => misfits.extend(
                    found
                        .into_iter()
                        .map(|misfit| Misfit { origin: misfit.origin.or_else(|| Some(item.origin.clone())), ..misfit }),
                ),
            }
        }
        if misfits.is_empty() { Ok(values) } else { Err(misfits) }
    }
}

/// One value, or a list of them.
pub(super) fn one_or_many<T>(parse: impl Fn(&Node) -> Parsed<T>) -> impl Fn(&Node) -> Parsed<Vec<T>> {
    let many = list(parse);
    move |node| match &node.value {
        Value::List(_) => many(node),
        _ => {
            let only = Node { value: Value::List(vec![node.clone()]), origin: node.origin.clone(), words: None };
            many(&only)
        }
    }
}

/// One of some words; `later` are words of the contract that this version does not know.
pub(super) fn choice<T: Clone>(
    words: Vec<(&'static str, T)>,
    later: &'static [&'static str],
) -> impl Fn(&Node) -> Parsed<T> {
    move |node| {
        let known = || words.iter().map(|(word, _)| *word);
        let text = match text(node) {
            Ok(text) => text,
            Err(_) => return wanted(&format!("one of {}", listed(known())), node),
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(value.clone());
        }
        let choose = format!("choose one of {}", listed(known()));
        if later.contains(&text.as_str()) {
            return Err(Misfit::new(format!("`{text}` is not available in this version")).help(choose).into());
        }
        let help = nearest(&text, known()).map_or(choose, |near| format!("did you mean `{near}`?"));
        Err(Misfit::new(format!("unknown value `{text}`")).help(help).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Origin;
    use super::*;

    fn node(value: impl Into<Value>) -> Node {
        Node { value: value.into(), origin: Origin::Default, words: None }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [("250ms", 250), ("2s", 2000), ("15m", 900_000), ("1h", 3_600_000), ("7d", 604_800_000)] {
            assert_eq!(duration_ms(&node(text)).ok(), Some(ms), "{text}");
        }
        assert_eq!(duration_ms(&node("1y")).ok(), Some(31_536_000_000));
        for wrong in ["", "5", "s", "1.5h", "-1s", "1 h", "1w", "9999999999999y"] {
            assert!(duration_ms(&node(wrong)).is_err(), "{wrong}");
        }
        assert!(duration_ms(&node(5)).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, size) in [("100MiB", 100 << 20), ("1KiB", 1024), ("5B", 5), ("1kB", 1000)] {
            assert_eq!(bytes(&node(text)).ok(), Some(size), "{text}");
        }
        assert_eq!(bytes(&node(7)).ok(), Some(7));
        assert!(bytes(&node(0)).is_err() && bytes(&node(-1)).is_err() && bytes(&node("1Mib")).is_err());
    }
}
