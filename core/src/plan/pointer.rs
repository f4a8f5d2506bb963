//! JSON Pointers (RFC 6901), and the form with `*` that says where the readings of a message are.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A pointer to one value inside a reading. The empty pointer is the reading itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    steps: Arc<[Box<str>]>,
}

impl Pointer {
    /// Parses RFC 6901 text: empty, or `/`-separated steps with `~0` for `~` and `~1` for `/`.
    ///
    /// # Errors
    /// When the text does not begin with `/`, or holds a `~` that is neither `~0` nor `~1`.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        Ok(Self { steps: split(text)?.into() })
    }

    /// The pointer to what stands under `key` of a reading.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self { steps: Arc::from([Box::from(key)]) }
    }

    /// The unescaped steps from the outside in.
    #[must_use]
    pub fn steps(&self) -> &[Box<str>] {
        &self.steps
    }

    /// The last step, which names a column; none for the empty pointer.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.steps.last().map(|step| &**step)
    }
}

/// A pointer to the readings of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPointer {
    steps: Arc<[Step]>,
}

/// One step of a [`RecordsPointer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value under this key, or at this index.
    Key(Box<str>),
    /// Each element of an array.
    Each,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write_step(f, step))
    }
}

impl fmt::Display for RecordsPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| match step {
            Step::Key(key) => write_step(f, key),
            Step::Each => f.write_str("/*"),
        })
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, step: &str) -> fmt::Result {
    write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))
}

impl RecordsPointer {
    /// Parses RFC 6901 text in which a step `*` means "each element".
    ///
    /// # Errors
    /// As [`Pointer::parse`].
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let steps = split(text)?.into_iter().map(|step| if &*step == "*" { Step::Each } else { Step::Key(step) });
        Ok(Self { steps: steps.collect() })
    }

    /// The steps from the outside in.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the message is a list of readings rather than one.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.steps.contains(&Step::Each)
    }
}

/// Why text is not a JSON Pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PointerError {
    /// It must be empty or begin with `/`.
    #[error("a JSON Pointer is empty or begins with `/`")]
    NoSlash,
    /// `~` stands only in `~0` and `~1`.
    #[error("`~` must be written `~0` in a JSON Pointer, and `/` inside a step `~1`")]
    BadEscape,
}

/// The array index a step means; none for a step that is no index, such as one with a sign or a leading zero
/// (RFC 6901, section 4).
pub(crate) fn array_index(step: &str) -> Option<usize> {
    let is_index = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { step.parse().ok() } else { None }
}

fn split(text: &str) -> Result<Vec<Box<str>>, PointerError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
    rest.split('/').map(unescape).collect()
}

fn unescape(step: &str) -> Result<Box<str>, PointerError> {
    let mut out = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::BadEscape),
            },
            c => c,
        });
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<String> {
        Pointer::parse(text).expect("pointer").steps().iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn steps_are_unescaped_as_rfc_6901_says() {
        assert_eq!(steps(""), Vec::<String>::new());
        assert_eq!(steps("/"), [""]);
        assert_eq!(steps("/a~1b/m~0n/~01"), ["a/b", "m~n", "~1"]);
    }

    #[test]
    fn text_that_is_no_pointer_is_refused() {
        assert_eq!(Pointer::parse("stationId"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a~2"), Err(PointerError::BadEscape));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::BadEscape));
    }

    #[test]
    fn an_index_has_neither_sign_nor_leading_zero() {
        assert_eq!(["0", "10"].map(array_index), [Some(0), Some(10)]);
        for step in ["", "01", "00", "+1", "-1", "-", "1 ", "x", "99999999999999999999"] {
            assert_eq!(array_index(step), None, "{step}");
        }
    }

    #[test]
    fn a_star_means_each_element_only_in_a_records_pointer() {
        let list = RecordsPointer::parse("/fee/*").expect("pointer");
        assert_eq!(list.steps(), [Step::Key("fee".into()), Step::Each]);
        assert!(list.is_list());
        assert_eq!(steps("/fee/*"), ["fee", "*"]);
    }
}
