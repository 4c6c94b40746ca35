//! The tree as YAML text, for endpoints that show the configuration.

use std::collections::HashMap;

use serde_yaml::{Mapping, Number, Value as Yaml};

use crate::scalar::{parse_bool, parse_float, parse_int};
use crate::tree::{Raw, Scalar, Value};

/// Writes `raw` with the values of `secrets` replaced by their masks. The tree's depth is bounded, so this recursion is.
pub(crate) fn to_yaml(raw: &Raw, secrets: &HashMap<usize, &'static str>) -> Yaml {
    if let Some(mask) = secrets.get(&raw.id()).filter(|_| !raw.is_null()) {
        return Yaml::String((*mask).to_owned());
    }
    match &*raw.value {
        Value::Scalar(scalar) => scalar_to_yaml(scalar),
        Value::List(items) => Yaml::Sequence(items.iter().map(|item| to_yaml(item, secrets)).collect()),
        Value::Map(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| (Yaml::String(entry.key.to_string()), to_yaml(&entry.value, secrets)));
            Yaml::Mapping(pairs.collect::<Mapping>())
        }
    }
}

fn scalar_to_yaml(scalar: &Scalar) -> Yaml {
    let text = &*scalar.text;
    if scalar.quoted {
        return Yaml::String(text.to_owned());
    }
    if scalar.is_null() {
        return Yaml::Null;
    }
    if let Some(flag) = parse_bool(text).filter(|_| text.len() > 1) {
        return Yaml::Bool(flag);
    }
    if let Some(number) = parse_int(text).and_then(|number| i64::try_from(number).ok()) {
        return Yaml::Number(number.into());
    }
    match parse_float(text).filter(|_| text.bytes().any(|b| b.is_ascii_digit())) {
        Some(number) => Yaml::Number(Number::from(number)),
        None => Yaml::String(text.to_owned()),
    }
}
