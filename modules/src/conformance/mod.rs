//! What every module promises, as checks that its author can run: spelling, determinism, patience with inputs that are
//! absent, extreme or of another kind, an answer in time, results that are objects. Knows no module.

mod attempt;
mod mutants;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::contract::{Module, ModuleError, ModuleInput, Output};

use crate::testing::InputBuilder;
use attempt::{Answer, Attempt};
use mutants::Mutant;

/// How long a call may take in every check but [`returns_within`]: long enough for a debug build on a busy machine, so
/// that only a call that hangs is late.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A promise that a module does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The check, by its function's name.
    pub check: &'static str,
    /// With which input, in words.
    pub input: String,
    /// What went wrong.
    pub problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.check, self.input, self.problem)
    }
}

impl std::error::Error for Failure {}

/// Every check. `samples` are inputs as the service would assemble them, which the module accepts; two that differ are a
/// good beginning.
///
/// ```
/// use quorate_core::ident::Millis;
/// use quorate_modules::conformance::check_all;
/// use quorate_modules::testing::{InputBuilder, reading};
///
/// let module = quorate_modules::by_name("probe").expect("your module in an `Arc`");
/// let sample = InputBuilder::new("probe").topic("METERS", Millis(5), reading(r#"{"kw":[41.5,7]}"#)).build();
/// assert_eq!(check_all(&module, &[sample]), Ok(()));
/// ```
///
/// # Errors
/// The first failure of each check that fails.
pub fn check_all(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Vec<Failure>> {
    let found = [
        is_spelled_as_configured(module),
        survives_an_empty_input(module),
        accepts_samples(module, samples),
        returns_within(module, samples, PATIENCE),
        is_deterministic(module, samples),
        survives_missing_inputs(module, samples),
        survives_wrong_kinds(module, samples),
        survives_extremes(module, samples),
    ];
    let failures: Vec<Failure> = found.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// Name: lower case letters, digits and single underscores, a letter first and no underscore last, because topics are named
/// after it. Version: printable ASCII without spaces.
///
/// # Errors
/// [`Failure`] for another spelling.
pub fn is_spelled_as_configured(module: &Arc<dyn Module>) -> Result<(), Failure> {
    let failure = |problem| Failure { check: "is_spelled_as_configured", input: "no input".to_owned(), problem };
    let (name, version) = (module.name(), module.version());
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let edges = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('_') && !name.contains("__");
    if !letters || !edges {
        return Err(failure(format!("name {name:?} should be like `load_prediction`")));
    }
    if version.is_empty() || !version.chars().all(|c| c.is_ascii_graphic()) {
        return Err(failure(format!("version {version:?} should be like `1` or `2.1`")));
    }
    Ok(())
}

/// An input without any topic is answered with results or [`ModuleError::Rejected`]: trying again would not help.
///
/// # Errors
/// [`Failure`] for a panic, a late answer, [`ModuleError::Retriable`] or a result that is no object.
pub fn survives_an_empty_input(module: &Arc<dyn Module>) -> Result<(), Failure> {
    let check = Check { module, name: "survives_an_empty_input", patience: PATIENCE };
    let (input, empty) = ("an input without topics", InputBuilder::new(module.name()).build());
    match check.answer(input, &empty)? {
        Err(ModuleError::Retriable(detail)) => Err(check.failure(input, format!("retriable: {detail}"))),
        _ => Ok(()),
    }
}

/// Every sample is accepted.
///
/// # Errors
/// [`Failure`] for any error, a panic, a late answer, or a result that is no object.
pub fn accepts_samples(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Failure> {
    let check = Check { module, name: "accepts_samples", patience: PATIENCE };
    for (number, sample) in samples.iter().enumerate() {
        let input = format!("sample {number}");
        check.answer(&input, sample)?.map_err(|e| check.failure(&input, format!("not accepted: {e}")))?;
    }
    Ok(())
}

/// Every sample is answered within `deadline`: give the module's `timeout`, or the part of it that you mean to use.
///
/// # Errors
/// [`Failure`] for a late answer, a panic, or a result that is no object.
pub fn returns_within(module: &Arc<dyn Module>, samples: &[ModuleInput], deadline: Duration) -> Result<(), Failure> {
    let check = Check { module, name: "returns_within", patience: deadline };
    for (number, sample) in samples.iter().enumerate() {
        drop(check.answer(&format!("sample {number}"), sample)?);
    }
    Ok(())
}

/// The same sample gives the same answer, byte for byte: one call after the other, and two at once.
///
/// # Errors
/// [`Failure`] for answers that differ, a panic, a late answer, or a result that is no object.
pub fn is_deterministic(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Failure> {
    let check = Check { module, name: "is_deterministic", patience: PATIENCE };
    for (number, sample) in samples.iter().enumerate() {
        let input = format!("sample {number}");
        let first = check.answer(&input, sample)?;
        if check.answer(&input, sample)? != first {
            return Err(check.failure(&input, "a second call answers differently".to_owned()));
        }
        let at_once = [Attempt::start(module, sample), Attempt::start(module, sample)];
        for attempt in at_once {
            if check.examine(&input, attempt)? != first {
                return Err(check.failure(&input, "two calls at once answer differently".to_owned()));
            }
        }
    }
    Ok(())
}

/// Each input missing in turn, then all of them: an answer of any kind.
///
/// # Errors
/// [`Failure`] for a panic, a late answer, or a result that is no object.
pub fn survives_missing_inputs(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Failure> {
    survives(module, "survives_missing_inputs", samples, mutants::missing)
}

/// Each input as a window of every other kind: an answer of any kind.
///
/// # Errors
/// [`Failure`] for a panic, a late answer, or a result that is no object.
pub fn survives_wrong_kinds(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Failure> {
    survives(module, "survives_wrong_kinds", samples, mutants::wrong_kinds)
}

/// Values of each input replaced, one at a time and all at once: numbers by ±1e308, −0, null (in a grid NaN and infinity) and
/// text, texts by an empty and a very long one, lists by an empty and a very long one, objects by null. An answer of any kind.
///
/// # Errors
/// [`Failure`] for a panic, a late answer, or a result that is no object.
pub fn survives_extremes(module: &Arc<dyn Module>, samples: &[ModuleInput]) -> Result<(), Failure> {
    survives(module, "survives_extremes", samples, mutants::extremes)
}

fn survives(
    module: &Arc<dyn Module>,
    name: &'static str,
    samples: &[ModuleInput],
    mutants: fn(&ModuleInput) -> Vec<Mutant>,
) -> Result<(), Failure> {
    let check = Check { module, name, patience: PATIENCE };
    for (number, sample) in samples.iter().enumerate() {
        for mutant in mutants(sample) {
            drop(check.answer(&format!("sample {number} with {}", mutant.what), &mutant.input)?);
        }
    }
    Ok(())
}

/// One check of one module.
struct Check<'a> {
    module: &'a Arc<dyn Module>,
    name: &'static str,
    patience: Duration,
}

impl Check<'_> {
    fn answer(&self, what: &str, input: &ModuleInput) -> Result<Answer, Failure> {
        self.examine(what, Attempt::start(self.module, input))
    }

    fn examine(&self, what: &str, attempt: Attempt) -> Result<Answer, Failure> {
        let answer = attempt.wait(self.patience).map_err(|problem| self.failure(what, problem))?;
        match answer.iter().flatten().find(|result| !is_object(result)) {
            Some(result) => Err(self.failure(what, format!("result is no object: {:.60}", result.as_json()))),
            None => Ok(answer),
        }
    }

    fn failure(&self, input: &str, problem: String) -> Failure {
        Failure { check: self.name, input: input.to_owned(), problem }
    }
}

fn is_object(result: &Output) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(result.as_json()).is_ok()
}

#[cfg(test)]
mod tests;
