//! As much XML as AWS' answers use: elements and text. Attributes, comments and declarations are passed over.

/// Elements within elements at most so deep.
const DEPTH_MAX: usize = 64;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The text of the child with this name; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// The text at the end of a path of children.
    pub(super) fn at(&self, path: &[&str]) -> &str {
        let mut element = self;
        for name in path {
            let Some(child) = element.child(name) else { return "" };
            element = child;
        }
        &element.text
    }

    /// The items of a list.
    pub(super) fn items(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.child(name).into_iter().flat_map(|list| &list.children).filter(|item| item.name == "item")
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a document's root element; `None` where it is not well formed.
pub(super) fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.find('<')?;
        if let Some(element) = open.last_mut() {
            element.text.push_str(&unescaped(rest[..start].trim()));
        }
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("<!--") {
            rest = &after[after.find("-->")? + 3..];
            continue;
        }
        let end = rest.find('>')?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        let closed = if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop()?;
            if element.name != name.trim() {
                return None;
            }
            element
        } else {
            let is_empty = tag.ends_with('/');
            let name = tag.trim_end_matches('/').split_whitespace().next()?.to_owned();
            let element = Element { name, ..Element::default() };
            if !is_empty {
                if open.len() == DEPTH_MAX {
                    return None;
                }
                open.push(element);
                continue;
            }
            element
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Some(closed),
        }
    }
}

fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find(';').filter(|end| *end <= 12) else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        let name = &rest[1..end];
        let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        };
        match character {
            Some(character) => out.push(character),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_lists_and_entities_are_read() {
        let root = parse(
            "<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><!-- <c> --><b>1 &lt; 2 &amp;&#x41;</b>\n<l><item><k>v</k></item><item/></l><e/></a>",
        );
        let root = root.expect("well formed");
        assert_eq!((root.text("b"), root.text("e"), root.text("none")), ("1 < 2 &A", "", ""));
        let items: Vec<&str> = root.items("l").map(|item| item.text("k")).collect();
        assert_eq!(items, ["v", ""]);
        for broken in ["", "<a>", "<a></b>", "</a>", "text", "<a", "<a><!-- </a>"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
