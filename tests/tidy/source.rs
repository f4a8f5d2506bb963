//! Rust source as the rules see it: comments, literals and test code blanked out, line by line in place, and the paths
//! that what is left names. A scanner, not a parser: it knows just enough of the language not to be fooled by text.

use std::iter::Peekable;
use std::vec::IntoIter;

/// One Rust file.
pub struct Source {
    /// Its path from the root of the repository, with forward slashes.
    pub path: String,
    /// As it is written.
    pub text: String,
    /// Without comments and without what literals hold.
    pub code: String,
    /// The code without tests; empty when the whole file is a test.
    pub product: String,
}

/// A path that code names, as `["crate", "kafka", "clock"]`, and the line it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    pub path: Vec<String>,
}

impl Source {
    /// Reads `text`; its product still includes files that other files declare as tests.
    pub fn new(path: String, text: String) -> Self {
        let code = without_comments_and_literals(&text);
        let product = without_tests(&code).0;
        Self { path, text, code, product }
    }

    /// Files without an extension that this one declares as tests: `src/fleet/tests` for `#[cfg(test)] mod tests;`.
    pub fn test_files(&self) -> Vec<String> {
        let (folder, stem) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = stem.trim_end_matches(".rs");
        let is_root = matches!(stem, "mod" | "lib" | "main");
        let folder = if is_root { folder.to_owned() } else { format!("{folder}/{stem}") };
        without_tests(&self.code).1.into_iter().map(|module| format!("{folder}/{module}")).collect()
    }

    /// The folder below `src/` that the file belongs to, or its own name: `kafka`, `main`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split_once('/').map_or(inside.trim_end_matches(".rs"), |(room, _)| room))
    }

    /// The paths its product names, with `super::` led back to `crate::`.
    pub fn named(&self) -> Vec<Named> {
        let inside = self.path.trim_end_matches(".rs").rsplit_once("src/").map_or("", |(_, inside)| inside);
        let own = inside.split('/').filter(|segment| !matches!(*segment, "mod" | "lib" | "main"));
        let own: Vec<String> = own.map(str::to_owned).collect();
        named(&self.product).into_iter().map(|found| Named { path: from_crate(&own, found.path), ..found }).collect()
    }
}

/// Where a word stands in code, by line, with nothing that could belong to a longer word around it.
pub fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let opens_with_word = is_word(word.chars().next());
    let alone = |at: usize| {
        let before = opens_with_word && is_word(code[..at].chars().next_back());
        let after = is_word(word.chars().next_back()) && is_word(code[at + word.len()..].chars().next());
        !before && !after
    };
    code.match_indices(word).filter(|(at, _)| alone(*at)).map(|(at, _)| line_of(code, at)).collect()
}

/// The one-based line of a byte.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_silence(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn end_of_silence(chars: &[char], at: usize) -> usize {
    let next = |ahead: usize| chars.get(at + ahead).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => find(chars, at, |rest| rest[0] == '\n').unwrap_or(chars.len()),
        '/' if next(1) == Some('*') => end_of_block_comment(chars, at),
        'r' if !follows_word(chars, at) => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + hashes) == Some('"') { end_of_raw_string(chars, at, hashes) } else { at }
        }
        '"' => end_of_quoted(chars, at, '"'),
        '\'' if next(1) == Some('\\') || next(2) == Some('\'') => end_of_quoted(chars, at, '\''),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> Option<usize> {
    (from..chars.len()).find(|at| is_end(&chars[*at..]))
}

fn end_of_block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes =
        |rest: &[char]| rest[0] == '"' && rest[1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    find(chars, from + hashes + 2, closes).map_or(chars.len(), |quote| quote + 1 + hashes)
}

fn end_of_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Whether the characters before belong to a word; a lone `b` or `c` is the beginning of a raw string.
fn follows_word(chars: &[char], at: usize) -> bool {
    let before = chars[..at].iter().rev().take_while(|c| c.is_alphanumeric() || **c == '_');
    let before: String = before.collect();
    !matches!(before.as_str(), "" | "b" | "c")
}

/// Blanks each item under `#[cfg(test)]`; those that only name a file are listed.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut out, mut files, mut rest) = (String::with_capacity(code.len()), Vec::new(), code);
    while let Some(mark) = rest.find(MARK) {
        let (before, from) = rest.split_at(mark);
        let (item, after) = from.split_at(MARK.len() + end_of_item(&from[MARK.len()..]));
        out.push_str(before);
        out.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        let words: Vec<&str> = item[MARK.len()..].split_whitespace().collect();
        if let [.., "mod", name] = words[..]
            && let Some(name) = name.strip_suffix(';')
        {
            files.push(name.to_owned());
        }
        rest = after;
    }
    out.push_str(rest);
    (out, files)
}

/// How long the item is that stands at the beginning: up to its semicolon, or through its braces.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    code.len()
}

fn from_crate(own: &[String], path: Vec<String>) -> Vec<String> {
    let up = path.iter().take_while(|segment| *segment == "super").count();
    if up == 0 {
        return path;
    }
    let base = &own[..own.len().saturating_sub(up)];
    std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(path[up..].iter().cloned()).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Step,
    Other(char),
}

type Tokens = Peekable<IntoIter<(usize, Token)>>;

fn tokens(code: &str) -> Tokens {
    let mut found = Vec::new();
    let mut line = 1;
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
            found.push((line, Token::Word(word)));
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            found.push((line, Token::Step));
        } else if !c.is_whitespace() {
            found.push((line, Token::Other(c)));
        }
    }
    found.into_iter().peekable()
}

/// Every path of more than one segment, and every single word that is imported; groups are taken apart.
fn named(code: &str) -> Vec<Named> {
    let mut tokens = tokens(code);
    let (mut found, mut imported) = (Vec::new(), false);
    while let Some((line, token)) = tokens.next() {
        if let Token::Word(word) = token {
            if word == "use" {
                imported = true;
                continue;
            }
            let mut paths = Vec::new();
            continue_path(&mut tokens, vec![word], &mut paths);
            let whole = |path: &Vec<String>| imported || path.len() > 1;
            found.extend(paths.into_iter().filter(whole).map(|path| Named { line, path }));
        }
        imported = false;
    }
    found
}

fn continue_path(tokens: &mut Tokens, mut path: Vec<String>, found: &mut Vec<Vec<String>>) {
    while tokens.next_if(|(_, token)| *token == Token::Step).is_some() {
        match tokens.peek() {
            Some((_, Token::Word(word))) => {
                path.push(word.clone());
                tokens.next();
            }
            Some((_, Token::Other('{'))) => {
                tokens.next();
                return continue_group(tokens, &path, found);
            }
            _ => break,
        }
    }
    found.push(path);
}

fn continue_group(tokens: &mut Tokens, path: &[String], found: &mut Vec<Vec<String>>) {
    while let Some((_, token)) = tokens.next() {
        match token {
            Token::Word(word) if word == "as" => drop(tokens.next()),
            Token::Word(word) if word == "self" => found.push(path.to_vec()),
            Token::Word(word) => continue_path(tokens, [path, &[word]].concat(), found),
            Token::Other('*') => found.push(path.to_vec()),
            Token::Other('}') => return,
            Token::Step | Token::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.to_owned(), text.to_owned())
    }

    fn paths(path: &str, text: &str) -> Vec<String> {
        source(path, text).named().into_iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_silent_and_lines_stay() {
        let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\nh\" 'i' '\\'' j<'k> r#\"l\" m\"# br\"n\" for_r\"o\"";
        let code = source("x.rs", text).code;
        let words: Vec<&str> =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
        assert_eq!(words, ["a", "e", "j", "k", "b", "for_r"]);
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn tests_are_no_product_and_name_their_files() {
        let text = "fn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests;\n#[cfg(test)]\nmod inner { fn b() { \"}\"; } }\nfn c() {}";
        let source = source("src/fleet/mod.rs", text);
        assert_eq!(lines_with(&source.product, "fn"), [1, 7]);
        assert_eq!(source.test_files(), ["src/fleet/tests"]);
        assert_eq!(super::Source::new("src/a/b.rs".into(), "#[cfg(test)] mod t;".into()).test_files(), ["src/a/b/t"]);
    }

    #[test]
    fn paths_are_taken_apart_and_led_back_to_their_crate() {
        let text =
            "use crate::{app, kafka::{self, Feed as F}, *}; use tokio; let x = super::super::pipeline::Lane::new();";
        let expected =
            ["crate::app", "crate::kafka", "crate::kafka::Feed", "crate", "tokio", "crate::pipeline::Lane::new"];
        assert_eq!(paths("src/kafka/poll.rs", text), expected);
        assert_eq!(paths("src/kafka/mod.rs", "use super::app;"), ["crate::app"]);
        assert_eq!(paths("src/kafka/poll.rs", "Vec::<u8>::new(); mpsc::channel::<u8>(1)"), ["mpsc::channel"]);
    }

    #[test]
    fn a_word_is_found_only_whole() {
        assert_eq!(lines_with("a\nunsafe_code unsafe {", "unsafe"), [2]);
        assert!(lines_with("reunsafe", "unsafe").is_empty());
    }
}
