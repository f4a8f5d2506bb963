//! Secrets: named by reference, looked up when a client is to be built, never written down.

use super::problem::Origin;
use super::raw::{Node, Table, Value};
use super::reader::{Notes, Placed};
use super::secrecy::MASK;

/// Where references are looked up.
pub(super) struct Vault<'e> {
    pub(super) env: &'e [(String, String)],
    /// Whether values are wanted; if not, what is referred to need not exist.
    pub(super) open: bool,
}

impl Vault<'_> {
    /// The secret that `{ env = "NAME" }` or `{ file = "PATH" }` refers to, or one that an environment variable
    /// override holds. A secret written in a file or on a command line is an error.
    pub(super) fn read(&self, notes: &Notes, path: &str, node: &Node) -> Option<Placed<String>> {
        let origin = &node.origin;
        let found = match (&node.value, origin, &node.words) {
            (Value::Table(table), _, _) => self.reference(table),
            (_, Origin::Env(_), Some(words)) => Ok(words.to_string()),
            _ => Err("must not be written down here".to_owned()),
        };
        match found {
            Ok(value) => {
                notes.show(path, &shown(&node.value), origin);
                Some(Placed { value: if self.open { value } else { MASK.to_owned() }, origin: origin.clone() })
            }
            Err(why) => {
                let help = "write `{ env = \"NAME\" }` or `{ file = \"/run/secrets/name\" }`";
                notes.error(origin, format!("`{path}` {why}"), help);
                None
            }
        }
    }

    fn reference(&self, table: &Table) -> Result<String, String> {
        let mut entries = table.0.iter();
        let (Some((kind, entry)), None) = (entries.next(), entries.next()) else {
            return Err("must name one environment variable or one file".to_owned());
        };
        let Value::Text(name) = &entry.node.value else {
            return Err("must name an environment variable or a file by a string".to_owned());
        };
        match kind.as_str() {
            "env" | "file" if !self.open => Ok(String::new()),
            "env" => match self.env.iter().find(|(found, _)| found == name) {
                Some((_, value)) if !value.is_empty() => Ok(value.clone()),
                _ => Err(format!("refers to the environment variable {name}, which is not set")),
            },
            "file" => match std::fs::read_to_string(name) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err(format!("refers to {name}, which cannot be read: {error}")),
            },
            _ => Err("must name an environment variable (`env`) or a file (`file`)".to_owned()),
        }
    }
}

/// A reference is shown as it is, anything else is not.
fn shown(value: &Value) -> Value {
    match value {
        Value::Table(_) => value.clone(),
        _ => Value::Text(MASK.to_owned()),
    }
}
