//! Reads tables key by key and writes down everything found on the way: problems, and each value with its origin.
//! A table's known keys are those that were asked for; what is left over is unknown.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::effective::Entry as Shown;
use super::problem::{Origin, Problem};
use super::raw::{Entry, Node, Table, Value, is_bare};
use super::secrecy;

/// What was noticed while reading. Shared by all readers of one load.
pub(super) struct Notes {
    problems: RefCell<Vec<Problem>>,
    shown: RefCell<BTreeMap<String, Shown>>,
    /// The file is not quite TOML: what seems to be absent may only be unreadable.
    torn: bool,
}

impl Notes {
    pub(super) fn new(torn: bool) -> Self {
        Self { problems: RefCell::default(), shown: RefCell::default(), torn }
    }

    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn error(&self, origin: &Origin, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::error(origin, message).help(help));
    }

    pub(super) fn warn(&self, origin: &Origin, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::warning(origin, message).help(help));
    }

    /// Something that is right but could be better.
    pub(super) fn advise(&self, origin: &Origin, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::advice(origin, message).help(help));
    }

    /// A key or value that the contract has and this version has not.
    pub(super) fn unavailable(&self, origin: &Origin, what: &str, help: impl Into<String>) {
        self.error(origin, format!("{what} is not available in this version"), help);
    }

    /// Something that must be written and is not.
    pub(super) fn missing(&self, origin: &Origin, message: impl Into<String>, help: impl Into<String>) {
        if !self.torn {
            self.error(origin, message, help);
        }
    }

    /// Writes down the effective value of a key.
    pub(super) fn show(&self, path: &str, value: &Value, origin: &Origin) {
        let hidden = secrecy::is_secret(path.rsplit('.').next().unwrap_or(path)) && !matches!(value, Value::Table(_));
        let text = if hidden { secrecy::MASK.to_owned() } else { value.to_string() };
        self.shown.borrow_mut().insert(path.to_owned(), Shown { value: text, origin: origin.clone() });
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, BTreeMap<String, Shown>) {
        (self.problems.into_inner(), self.shown.into_inner())
    }
}

/// A value that was understood, and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// Why a value was not understood. Values of secret keys never come here.
pub(super) struct Misfit {
    pub(super) origin: Option<Origin>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Misfit {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { origin: None, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

pub(super) type Parsed<T> = Result<T, Vec<Misfit>>;

impl From<Misfit> for Vec<Misfit> {
    fn from(misfit: Misfit) -> Self {
        vec![misfit]
    }
}

/// Reads one table.
pub(super) struct Reader<'a> {
    pub(super) notes: &'a Notes,
    table: Option<&'a Table>,
    /// The table's own place; the default when it is not there.
    pub(super) origin: Origin,
    path: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    pub(super) fn root(notes: &'a Notes, table: &'a Table) -> Self {
        let (origin, path) = (Origin::Default, String::new());
        Self { notes, table: Some(table), origin, path, known: RefCell::default() }
    }

    /// Over an inline table that stands at `path`; none, with a problem, when `node` is something else.
    pub(super) fn over(notes: &'a Notes, path: String, node: &'a Node) -> Option<Self> {
        match &node.value {
            Value::Table(table) => {
                let origin = node.origin.clone();
                Some(Self { notes, table: Some(table), origin, path, known: RefCell::default() })
            }
            other => {
                notes.add(Problem::error(&node.origin, format!("`{path}` must be a table, not {}", other.kind())));
                None
            }
        }
    }

    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The table's own key.
    pub(super) fn name(&self) -> &str {
        &self.path
    }

    /// The whole key of an entry of this table, as `--set` takes it.
    pub(super) fn path_of(&self, key: &str) -> String {
        let key = if is_bare(key) { key.to_owned() } else { format!("\"{key}\"") };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// The entry under a key, which is thereby known.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        self.known.borrow_mut().push(key);
        self.table?.0.get(key)
    }

    /// Whether something stands under a key, be it understood or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.0.contains_key(key))
    }

    /// All entries, whatever their keys; for tables whose keys are names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.table.into_iter().flat_map(|table| &table.0).map(|(key, entry)| (key.as_str(), entry))
    }

    /// The tables of a table whose keys are names, sorted by name. What is no table is a problem.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'a str, Self)> {
        self.entries().filter_map(|(name, entry)| {
            let table = Self::over(self.notes, self.path_of(name), &entry.node)?;
            Some((name, Self { origin: entry.key.clone(), ..table }))
        })
    }

    /// The table called `name` as it is when nobody has written it; `origin` is the place that asks for it.
    pub(super) fn unwritten(&self, name: &str, origin: Origin) -> Self {
        Self { notes: self.notes, table: None, origin, path: self.path_of(name), known: RefCell::default() }
    }

    /// The table under a key; an empty one when it is absent or no table.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let path = self.path_of(key);
        let found = self.entry(key).and_then(|entry| {
            let reader = Self::over(self.notes, path.clone(), &entry.node)?;
            Some(Self { origin: entry.key.clone(), ..reader })
        });
        let empty =
            || Self { notes: self.notes, table: None, origin: self.origin.clone(), path, known: RefCell::default() };
        found.unwrap_or_else(empty)
    }

    /// The table under a key that `false` switches off: none then; an empty one when it is absent or `true`.
    pub(super) fn switchable(&self, key: &'static str) -> Option<Self> {
        let Some(entry) = self.entry(key) else { return Some(self.table(key)) };
        let Node { value, origin, .. } = &entry.node;
        match value {
            Value::Table(_) => return Some(self.table(key)),
            Value::Bool(_) => self.notes.show(&self.path_of(key), value, origin),
            other => {
                let message = format!("`{}` must be a table or `false`, not {}", self.path_of(key), other.kind());
                self.notes.error(origin, message, "`false` switches it off");
            }
        }
        (!matches!(value, Value::Bool(false))).then(|| self.unwritten(key, origin.clone()))
    }

    /// A value that may be absent. One that is not understood becomes a problem and counts as absent.
    pub(super) fn optional<T>(&self, key: &'static str, parse: impl Fn(&Node) -> Parsed<T>) -> Option<Placed<T>> {
        let entry = self.entry(key)?;
        match parse(&entry.node) {
            Ok(value) => {
                self.notes.show(&self.path_of(key), &entry.node.value, &entry.node.origin);
                Some(Placed { value, origin: entry.node.origin.clone() })
            }
            Err(misfits) => {
                for misfit in misfits {
                    let origin = misfit.origin.unwrap_or_else(|| entry.node.origin.clone());
                    let problem = Problem::error(&origin, format!("`{}`: {}", self.path_of(key), misfit.message));
                    self.notes.add(Problem { help: misfit.help, ..problem });
                }
                None
            }
        }
    }

    /// A value with a default, which is written as in a file.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: impl Into<Value>,
        parse: impl Fn(&Node) -> Parsed<T>,
    ) -> Placed<T> {
        self.or_by(Origin::Default, key, default, parse)
    }

    /// A value with a default that comes from somewhere.
    pub(super) fn or_by<T>(
        &self,
        origin: Origin,
        key: &'static str,
        default: impl Into<Value>,
        parse: impl Fn(&Node) -> Parsed<T>,
    ) -> Placed<T> {
        if let Some(placed) = self.optional(key, &parse) {
            return placed;
        }
        let node = Node { value: default.into(), origin, words: None };
        self.notes.show(&self.path_of(key), &node.value, &node.origin);
        // Every default is a constant, or made of a name that was checked, and every reader of it is tested.
        let Ok(value) = parse(&node) else { unreachable!("the default of {} is understood", self.path_of(key)) };
        Placed { value, origin: node.origin }
    }

    /// A value that must be there; its absence is a problem at the table.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&Node) -> Parsed<T>,
        help: &str,
    ) -> Option<Placed<T>> {
        if !self.has(key) {
            self.notes.missing(&self.origin, format!("`{}` is missing", self.path_of(key)), help);
        }
        self.optional(key, parse)
    }

    /// Reports every key that was not asked for, with the nearest one that was.
    pub(super) fn finish(self) {
        self.finish_with(|_| None);
    }

    /// As [`Self::finish`]; `advice` may know better what to write instead of an unknown key.
    pub(super) fn finish_with(self, advice: impl Fn(&str) -> Option<String>) {
        let known = self.known.borrow();
        let Some(table) = self.table else { return };
        for (key, entry) in table.0.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let help = advice(key).unwrap_or_else(|| match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", listed(known.iter().copied())),
            });
            self.notes.error(&entry.key, format!("unknown key `{}`", self.path_of(key)), help);
        }
    }
}

/// The candidate most like `word`, whatever the case; none when all differ in more than a few letters.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace(['.', '-'], "_");
    let word = fold(word);
    let slips = (word.chars().count() / 3).clamp(1, 4);
    let scored = candidates.into_iter().map(|c| (strsim::damerau_levenshtein(&word, &fold(c)), c));
    let best = scored.filter(|(distance, _)| *distance <= slips).min_by_key(|(distance, _)| *distance);
    best.map(|(_, candidate)| candidate)
}

/// Names in backquotes, separated by commas.
pub(super) fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}
