//! Values from outside the file: `--set KEY=VALUE` over `QUORATE__…` environment variables over what was written.
//! Knows how keys are spelt there, not what they mean.

use super::native::catalogue;
use super::problem::{Origin, Problem};
use super::raw::{self, Entry, Node, Table, Value};

const PREFIX: &str = "QUORATE__";

/// Puts the environment's values into the tree. Double underscores separate levels; a name is found whatever its case
/// and with `_` for `-` and `.`, which environment variables cannot spell.
pub(super) fn environment(tree: &mut Table, env: &[(String, String)]) -> Vec<Problem> {
    let mut ours: Vec<_> =
        env.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value))).collect();
    ours.sort();
    let mut problems = Vec::new();
    for (name, path, value) in ours {
        let origin = Origin::Env(name.as_str().into());
        let segments: Vec<&str> = path.split("__").collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            let help = "write levels as in `QUORATE__KAFKA__CONSUMER__GROUP_ID`";
            problems.push(Problem::error(&origin, format!("`{name}` names no key")).help(help));
            continue;
        }
        let path = resolve(tree, &segments);
        problems.extend(put(tree, &path, raw::parse_words(value, &origin)));
    }
    problems
}

/// Puts one `--set` argument into the tree.
pub(super) fn argument(tree: &mut Table, argument: &str) -> Option<Problem> {
    let Some((key, value)) = argument.split_once('=') else {
        // The words are not repeated: they may be a secret.
        let problem = Problem::error(&Origin::Set("…".into()), "`--set` wants `KEY=VALUE`");
        return Some(problem.help("e.g. `--set kafka.consumer.group_id=name`"));
    };
    let key = key.trim();
    let origin = Origin::Set(key.into());
    let Some(path) = dotted(key) else {
        return Some(Problem::error(&origin, format!("`{key}` is not a dotted key")));
    };
    put(tree, &path, raw::parse_words(value, &origin))
}

/// Splits a dotted key; segments with other characters than letters, digits, `_` and `-` stand in quotes.
fn dotted(key: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = key;
    loop {
        let (segment, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if segment.is_empty() || (!rest.starts_with('"') && !raw::is_bare(segment)) {
            return None;
        }
        path.push(segment.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(path),
        }
    }
}

/// The keys that the segments of an environment variable mean, given what is in the tree.
fn resolve(tree: &Table, segments: &[&str]) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut level = Some(tree);
    for segment in segments {
        let wanted = fold(segment);
        let found = level.and_then(|table| table.0.keys().find(|key| fold(key) == wanted));
        let key = match (found, path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
            (Some(key), _) => key.clone(),
            (None, ["topics"]) => (*segment).to_owned(),
            (None, ["kafka", "properties"]) => {
                catalogue::names().find(|name| fold(name) == wanted).unwrap_or(segment).to_owned()
            }
            (None, _) => segment.to_ascii_lowercase(),
        };
        level = level.and_then(|table| match &table.0.get(&key)?.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        });
        path.push(key);
    }
    path
}

fn fold(key: &str) -> String {
    key.to_ascii_lowercase().replace(['-', '.'], "_")
}

/// Replaces or adds the value at `path`, with the tables on the way to it.
fn put(tree: &mut Table, path: &[String], node: Node) -> Option<Problem> {
    let (last, way) = path.split_last()?;
    let origin = node.origin.clone();
    let mut table = tree;
    for (depth, key) in way.iter().enumerate() {
        let entry = table.0.entry(key.clone()).or_insert_with(|| Entry {
            key: origin.clone(),
            node: Node { value: Value::Table(Table::default()), origin: origin.clone(), words: None },
        });
        match &mut entry.node.value {
            Value::Table(inner) => table = inner,
            _ => return Some(Problem::error(&origin, format!("`{}` is not a table", path[..=depth].join(".")))),
        }
    }
    table.0.insert(last.clone(), Entry { key: origin, node });
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_keys_may_have_quoted_segments() {
        assert_eq!(dotted("topics.\"a.b\".expect"), Some(vec!["topics".into(), "a.b".into(), "expect".into()]));
        for wrong in ["", "a.", ".a", "a b", "\"a", "\"a\"b"] {
            assert_eq!(dotted(wrong), None, "{wrong}");
        }
    }
}
