//! The little XML that AWS's REST protocols need: elements written as text, children read by name.

use std::fmt::Display;

use roxmltree::Node;

/// `text` as it may stand between tags.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// An element that holds text.
pub fn leaf(name: &str, text: impl Display) -> String {
    format!("<{name}>{}</{name}>", escape(&text.to_string()))
}

/// An element that holds text, if there is any.
pub fn optional(name: &str, text: Option<impl Display>) -> String {
    text.map_or_else(String::new, |text| leaf(name, text))
}

/// An element that holds elements.
pub fn node(name: &str, children: impl IntoIterator<Item = String>) -> String {
    let children: String = children.into_iter().collect();
    format!("<{name}>{children}</{name}>")
}

/// A whole document; `namespace` is left out when empty.
pub fn document(root: &str, namespace: &str, children: impl IntoIterator<Item = String>) -> String {
    let children: String = children.into_iter().collect();
    let namespace = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{namespace}\"") };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}{namespace}>{children}</{root}>")
}

/// The first child element of this name, in whatever namespace.
pub fn child<'a, 'input>(of: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    of.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// All child elements of this name.
pub fn children<'a, 'input>(of: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    of.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The text of the first child element of this name.
pub fn text<'a>(of: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(of, name).map(|child| child.text().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let written =
            document("Root", "urn:x", [leaf("Name", "a<b&c"), node("Many", [leaf("One", 1), leaf("One", 2)])]);
        let document = roxmltree::Document::parse(&written).unwrap();
        let root = document.root_element();
        assert_eq!(text(root, "Name"), Some("a<b&c"));
        assert_eq!(children(child(root, "Many").unwrap(), "One").count(), 2);
        assert_eq!(text(root, "Absent"), None);
    }
}
