//! A whole JSON text as a tree. `serde_json::Value` as a target of its own would take a key that its crate uses inside
//! itself (`$serde_json::private::…`) for an instruction and put something else in the place of what was sent.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value `text` stands for; of two equal keys the last. None when it is not JSON. Recurses as deep as the text is
/// nested, which `limits.depth` bounds.
pub(crate) fn tree(text: &str) -> Option<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    let value = Tree.deserialize(&mut json).ok()?;
    json.end().ok().map(|()| value)
}

#[derive(Clone, Copy)]
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key()? {
            object.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_the_parser_uses_inside_itself_are_keys_like_others() {
        for text in [
            r#"{"$serde_json::private::RawValue":"[1]","a":2}"#,
            r#"{"$serde_json::private::RawValue":7}"#,
            r#"[{"$serde_json::private::Number":"1"}]"#,
        ] {
            assert_eq!(tree(text).map(|value| value.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_tree_is_what_the_text_says() {
        let text = r#"{"a":[null,true,-0.0,18446744073709551615,-1,1.5,"x\n"],"b":{}}"#;
        assert_eq!(tree(text).map(|value| value.to_string()).as_deref(), Some(text));
        assert_eq!(tree(r#"{"a":1,"a":2}"#), Some(serde_json::json!({ "a": 2 })));
        assert_eq!(tree("[1] 2"), None);
    }
}
