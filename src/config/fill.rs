//! `{name}` in the texts of a plan: the same plan serves every estate that says what its names stand for.

/// What the names stand for.
pub type Values = std::collections::BTreeMap<String, String>;

/// The text with every `{name}` replaced by its value, and the names that have none. `{{` and `}}` stand for braces; braces around
/// anything but a name (`{a: 1}`, `${HOME}`, `{}`) stay as they are.
pub fn fill(text: &str, values: &Values) -> (String, Vec<String>) {
    let (mut out, mut unknown, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out += before;
        let escaped = from.starts_with("{{") || from.starts_with("}}");
        let name =
            from[1..].split_once('}').map(|(name, _)| name).filter(|name| from.starts_with('{') && is_value_name(name));
        rest = match name {
            _ if escaped => {
                out += &from[..1];
                &from[2..]
            }
            Some(name) if !before.ends_with('$') => {
                match values.get(name) {
                    Some(value) => out += value,
                    None => unknown.push(name.to_owned()),
                }
                &from[name.len() + 2..]
            }
            _ => {
                out += &from[..1];
                &from[1..]
            }
        };
    }
    (out + rest, unknown)
}

/// What can stand between the braces.
pub fn is_value_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> (String, Vec<String>) {
        fill(text, &Values::from([("standby".into(), "us-west-2".into()), ("empty".into(), String::new())]))
    }

    #[test]
    fn names_are_replaced_and_everything_else_stays() {
        assert_eq!(filled("to {standby}{empty}, then {standby}").0, "to us-west-2, then us-west-2");
        for same in ["{a: 1}", "${standby}", "{}", "{", "}", "{Standby}", "{seedingServers: []}", "é{"] {
            assert_eq!(filled(same), (same.to_owned(), vec![]));
        }
        assert_eq!(filled("awk '{{print}}' {{standby}}").0, "awk '{print}' {standby}");
    }

    #[test]
    fn a_name_without_a_value_is_told() {
        assert_eq!(filled("{stanby} {standby}").1, ["stanby"]);
    }
}
