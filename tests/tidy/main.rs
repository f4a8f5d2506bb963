//! Keeps true what ARCHITECTURE.md says is absent, and what CONTRIBUTING.md says files look like. Reads the repository
//! as text; a rule that fails names the place, the reason and the way out.

mod absence;
mod documents;
mod requirements;
mod rooms;
mod shape;
mod source;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use source::{Source, lines_with};

/// What is no part of the repository, at its top.
const FOREIGN: [&str; 3] = ["target", ".git", "state"];

/// The repository, read once.
static REPOSITORY: LazyLock<Repository> = LazyLock::new(Repository::read);

struct Repository {
    /// Every Rust file, sorted by path.
    sources: Vec<Source>,
    /// Every text file with its path, Rust files among them, sorted by path.
    texts: Vec<(String, String)>,
}

impl Repository {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = Vec::new();
        walk(root, root, &mut texts);
        texts.sort();
        let rust = texts.iter().filter(|(path, _)| path.ends_with(".rs"));
        let mut sources: Vec<Source> = rust.map(|(path, text)| Source::new(path.clone(), text.clone())).collect();
        let declared: Vec<String> = sources.iter().flat_map(Source::test_files).collect();
        let is_test = |path: &str| {
            let inside =
                |tests: &String| path.strip_prefix(tests.as_str()).is_some_and(|rest| rest.starts_with(['/', '.']));
            path.split('/').any(|folder| folder == "tests") || declared.iter().any(inside)
        };
        sources.iter_mut().filter(|source| is_test(&source.path)).for_each(|source| source.product.clear());
        Self { sources, texts }
    }

    /// The files that the service is made of: the root package, the core and the modules.
    fn product(&self) -> impl Iterator<Item = &Source> {
        let made_of = ["src/", "core/src/", "modules/src/"];
        self.sources.iter().filter(move |source| made_of.iter().any(|folder| source.path.starts_with(folder)))
    }

    /// The text of one file.
    fn text(&self, path: &str) -> &str {
        self.texts.iter().find(|(of, _)| of == path).map(|(_, text)| &**text).expect("the file exists")
    }
}

fn walk(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in Unicode");
        if folder == root && FOREIGN.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, texts);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let inside = path.strip_prefix(root).expect("inside the repository");
            texts.push((inside.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

/// The places where product code names a path that is `forbidden`.
fn naming<'a>(sources: impl IntoIterator<Item = &'a Source>, forbidden: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for named in source.named() {
            let path: Vec<&str> = named.path.iter().map(String::as_str).collect();
            if forbidden(&path) {
                found.push(format!("{}:{}: {}", source.path, named.line, path.join("::")));
            }
        }
    }
    found
}

/// The places where product code says one of `words`.
fn saying<'a>(sources: impl IntoIterator<Item = &'a Source>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for word in words {
            let lines = lines_with(&source.product, word);
            found.extend(lines.into_iter().map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    found
}

/// Fails with every breach of a rule, the reason for it and the way out.
#[track_caller]
fn expect_none(breaches: impl IntoIterator<Item = String>, why: &str) {
    let breaches: Vec<String> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "{} breach(es):\n  {}\n{why}", breaches.len(), breaches.join("\n  "));
}
