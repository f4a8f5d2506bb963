//! What must never be shown, and how it is kept out of listings. Errs on the side of hiding too much.

use std::ops::Range;

use super::problem::Origin;
use super::raw::{Node, Table, Value};

/// What stands in for a secret.
pub(super) const MASK: &str = "********";

const MARKS: [&str; 9] =
    ["password", "passphrase", "passwd", "secret", "token", "jaas", "oauthbearer.config", ".pem", "sasl.username"];

/// Whether the value of a key, or of a native property, must not be shown. Misspellings of the usual names count.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', ".");
    let resembles = |(word, slips): (&str, usize)| strsim::damerau_levenshtein(&key, word) <= slips;
    MARKS.iter().any(|mark| key.contains(mark))
        || [("password", 2), ("token", 1), ("secret", 1)].into_iter().any(resembles)
}

/// Whether an address says who asks, as `http://user:password@host` does.
pub(super) fn holds_login(address: &str) -> bool {
    let rest = address.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    rest.is_some_and(|authority| authority.contains('@'))
}

/// The text of a file with each secret replaced by asterisks, so that spans still fit. Works on what was parsed and,
/// because a broken file is shown as well, on every line that looks like `secret = …`.
pub(super) fn blot(text: &str, table: &Table) -> String {
    let mut spans = Vec::new();
    collect(table, false, &mut spans);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        suspicious(line, start, &mut spans);
        start += line.len();
    }
    let mut out = text.as_bytes().to_vec();
    for span in spans {
        for byte in out.get_mut(span).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Spans of text under secret keys; references to an environment variable or a file are no secrets themselves.
fn collect(table: &Table, hidden: bool, spans: &mut Vec<Range<usize>>) {
    for (key, entry) in &table.0 {
        let reference = hidden && matches!(key.as_str(), "env" | "file");
        node(&entry.node, !reference && (hidden || is_secret(key)), spans);
    }
}

fn node(node_: &Node, hidden: bool, spans: &mut Vec<Range<usize>>) {
    match &node_.value {
        Value::Table(table) => collect(table, hidden, spans),
        Value::List(items) => items.iter().for_each(|item| node(item, hidden, spans)),
        value => {
            let login = matches!(value, Value::Text(text) if holds_login(text));
            if let (true, Origin::File(span)) = (hidden || login, &node_.origin) {
                spans.push(span.clone());
            }
        }
    }
}

/// A `secret = value` whose value is no table: what follows the equals sign.
fn suspicious(line: &str, start: usize, spans: &mut Vec<Range<usize>>) {
    for (at, _) in line.match_indices('=') {
        let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let key = key.rsplit(|c: char| c.is_whitespace() || "{,\"'[]".contains(c)).next().unwrap_or_default();
        let value = line[at + 1..].trim_start();
        if is_secret(key) && !value.starts_with('{') {
            spans.push(start + at + 1..start + line.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::parse_file;
    use super::*;

    fn blotted(text: &str) -> String {
        blot(text, &parse_file(text).0)
    }

    #[test]
    fn literal_secrets_are_blotted_out_and_references_are_not() {
        let text = "[kafka.security]\nusername = 'svc'\npassword = 'canary'\n[http]\ntoken = { env = 'NAME' }\n";
        let shown = blotted(text);
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("NAME"), "{shown}");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn misspelt_nested_multi_line_and_unparsable_secrets_are_blotted_out() {
        for text in [
            "pasword = 'canary'",
            "a = { Sasl_Password = 'canary' }",
            "password = { value = 'canary' }",
            "\"ssl.key.pem\" = '''\ncanary\n'''",
            "password = 'canary",
            "password = canary\n[",
            "x = { sasl.password = canary",
            "passwd = [['canary']]",
        ] {
            assert!(!blotted(text).contains("canary"), "{text}");
        }
    }
}
