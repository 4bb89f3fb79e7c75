//! Which component of the page a name means. A page can have one name in several groups, and a group takes no status:
//! <https://developer.statuspage.io/#operation/getPagesPageIdComponents>.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::text::clean;

/// A component of the page, or a group of them.
#[derive(Deserialize)]
pub struct Component {
    pub id: String,
    pub name: String,
    /// Whether it is a group.
    #[serde(default)]
    group: bool,
    group_id: Option<String>,
}

/// The page's id of each name, and what is wrong with the others, in words.
pub fn sorted<'n>(
    all: &[Component],
    names: impl IntoIterator<Item = &'n String>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut known, mut wrong) = (BTreeMap::new(), Vec::new());
    for name in names {
        match one(all, name) {
            Ok(id) => drop(known.insert(name.clone(), id)),
            Err(why) => wrong.push(why),
        }
    }
    (known, wrong)
}

/// `group/name`, or the name alone.
fn full(all: &[Component], it: &Component) -> String {
    let group = it.group_id.as_ref().and_then(|id| all.iter().find(|group| group.group && group.id == *id));
    group.map_or_else(|| it.name.clone(), |group| format!("{}/{}", group.name, it.name))
}

fn one(all: &[Component], name: &str) -> Result<String, String> {
    let shown = clean(name);
    let is_meant = |it: &&Component| !it.group && (it.name == name || it.id == name || full(all, it) == name);
    let meant: Vec<&Component> = all.iter().filter(is_meant).collect();
    match meant[..] {
        [it] => Ok(it.id.clone()),
        [] if all.iter().any(|it| it.group && it.name == name) => {
            let of = all.iter().filter(|it| !it.group && full(all, it) == format!("{name}/{}", it.name));
            let of: Vec<String> = of.map(|it| format!("`{}`", clean(&full(all, it)))).collect();
            Err(format!("`{shown}` is a group, which takes no status: name a component in it ({})", some(&of)))
        }
        [] => {
            let alike = all.iter().find(|it| !it.group && it.name.trim().eq_ignore_ascii_case(name.trim()));
            let alike = alike.map(|it| format!("; is it `{}`?", clean(&full(all, it)))).unwrap_or_default();
            Err(format!("the page has no component `{shown}`{alike}"))
        }
        _ => {
            let mut names: Vec<String> = meant.iter().map(|it| format!("`{}`", clean(&full(all, it)))).collect();
            names.sort();
            names.dedup();
            // Where even the whole name is the same, only the id tells them apart.
            if names.len() < meant.len() {
                names = meant.iter().map(|it| format!("`{}`", clean(&it.id))).collect();
            }
            Err(format!("`{shown}` is the name of {} components: write one of {}", meant.len(), some(&names)))
        }
    }
}

/// The first few.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "it has none".into(),
        1..=SHOWN => shown,
        more => format!("{shown} and {} more", more - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_means_one_component_or_is_refused_in_words() {
        let all: Vec<Component> = serde_json::from_value(json!([
            { "id": "gEU", "name": "Europe", "group": true, "group_id": null },
            { "id": "gUS", "name": "America", "group": true, "group_id": null },
            { "id": "apiEU", "name": "API", "group": false, "group_id": "gEU" },
            { "id": "apiUS", "name": "API", "group": false, "group_id": "gUS" },
            { "id": "t1", "name": "Twin", "group_id": "gUS" },
            { "id": "t2", "name": "Twin", "group_id": "gUS" },
            { "id": "w", "name": "Web Shop" },
            { "id": "s", "name": "a/b" },
        ]))
        .unwrap();
        for (name, id) in
            [("Europe/API", "apiEU"), ("America/API", "apiUS"), ("Web Shop", "w"), ("a/b", "s"), ("t2", "t2")]
        {
            assert_eq!(one(&all, name).as_deref(), Ok(id), "{name}");
        }
        for (name, words) in [
            ("API", "is the name of 2 components: write one of `America/API`, `Europe/API`"),
            ("America", "is a group, which takes no status: name a component in it (`America/API`"),
            ("Web shop", "the page has no component `Web shop`; is it `Web Shop`?"),
            ("Gone", "the page has no component `Gone`"),
            ("Twin", "is the name of 2 components: write one of `t1`, `t2`"),
        ] {
            let why = one(&all, name).unwrap_err();
            assert!(why.contains(words), "{name}: {why}");
        }
    }
}
