//! What did not go as it should although a message was sent: recipients who were refused, components that the page does not know.

use crate::domain::fact::system::Receipt;

/// How a caveat is said.
enum Say {
    /// The numbers at the beginning of every part's value add up; these words stand after them.
    Count(&'static str),
    /// The value itself, after these words.
    Words(&'static str),
}

/// By the name that receipts give it. A channel that leaves one of these is not silent about it.
const CAVEATS: &[(&str, Say)] = &[
    ("refused", Say::Count("recipients were refused")),
    ("no addresses", Say::Count("lines of the list are no addresses")),
    ("unknown components", Say::Words("not shown on the page")),
    ("components not set", Say::Words("components not set")),
    ("opened anew", Say::Words("opened anew")),
    ("no channel of its own", Say::Words("no channel of its own")),
    ("first message not updated", Say::Words("first message not updated")),
    ("cut", Say::Words("cut")),
    ("renamed", Say::Words("renamed")),
];

/// What the receipts of a delivery's parts say besides that it was sent, a text each.
pub fn caveats<'r>(receipts: impl Iterator<Item = &'r Receipt> + Clone) -> Vec<String> {
    let said = |(name, say): &(&str, Say)| {
        let values = receipts.clone().filter_map(|receipt| receipt.get(*name));
        match say {
            Say::Words(words) => values.last().map(|value| format!("{words}: {value}")),
            Say::Count(words) => {
                let number = |value: &String| {
                    value.split(|c: char| !c.is_ascii_digit()).next().and_then(|it| it.parse::<usize>().ok())
                };
                let count: usize = values.clone().filter_map(number).sum();
                let first = values.filter_map(|value| value.split_once(' ')).map(|(_, why)| why).next();
                let why = first.map(|why| format!(" {why}")).unwrap_or_default();
                (count > 0).then(|| format!("{count} {words}{why}"))
            }
        }
    };
    CAVEATS.iter().filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_say_adds_up() {
        let receipt = |name: &str, value: &str| Receipt::from([(name.to_owned(), value.to_owned())]);
        let all = [
            receipt("refused", "2 (550 5.1.1 user unknown)"),
            receipt("id", "<1@x>"),
            receipt("refused", "1 (551 moved)"),
            receipt("unknown components", "`API` is the name of 2 components"),
        ];
        assert_eq!(
            caveats(all.iter()),
            [
                "3 recipients were refused (550 5.1.1 user unknown)",
                "not shown on the page: `API` is the name of 2 components"
            ]
        );
        assert!(caveats([Receipt::new()].iter()).is_empty());
    }
}
