//! Evidence on a gate's card that was taken anew: whether it says the same in what matters. Whoever has answered for the old one is
//! asked again only where it does not.

use super::guard::{Guard, GuardVerdict};
use super::recovery::Loss;
use super::run::GateCard;
use super::system::Observed;

/// So many seconds may be added to a loss before it is another one.
const LOSS: f64 = 10.0;

impl GateCard {
    /// What a later look sees otherwise, in what a person decides on: each in a few words. What is better, and numbers that go on
    /// counting in a guard's words, ask nobody anew; a worse verdict, another change, another way back and a greater loss do.
    pub fn differs(&self, later: &GateCard) -> Vec<String> {
        let mut found = Vec::new();
        if kind(&self.observed) != kind(&later.observed) {
            found.push(format!("it was “{}”, and is “{}”", self.observed.words(), later.observed.words()));
        }
        if self.summary != later.summary || self.diff != later.diff {
            found.push(format!("the change is another: {}", later.summary));
        }
        if self.undo != later.undo {
            found.push("whether it can be undone is another".into());
        }
        found.extend(later.guards.iter().filter(|guard| !self.knew(guard)).map(worse));
        found.extend(loss(self.loss.map(|(_, loss)| loss), later.loss.map(|(_, loss)| loss)));
        found
    }

    /// Whether a guard says nothing worse than it did.
    fn knew(&self, later: &Guard) -> bool {
        if later.verdict == GuardVerdict::Pass {
            return true;
        }
        let same = |guard: &&Guard| guard.name == later.name && guard.verdict == later.verdict;
        self.guards.iter().filter(same).any(|guard| without_numbers(&guard.detail) == without_numbers(&later.detail))
    }

    /// Whether a later look sees the very same: then only its time is new.
    pub fn is_the_same(&self, later: &GateCard) -> bool {
        let at_the_same = GateCard { at: self.at, projected: self.projected, ..later.clone() };
        *self == at_the_same
    }
}

fn kind(observed: &Observed) -> std::mem::Discriminant<Observed> {
    std::mem::discriminant(observed)
}

fn worse(guard: &Guard) -> String {
    let word = if guard.verdict == GuardVerdict::Block { "blocks" } else { "warns" };
    format!("{} {word}: {}", guard.name, guard.detail)
}

/// `12.5 s behind` and `13 s behind` are the same words.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()
}

fn loss(before: Option<Loss>, later: Option<Loss>) -> Option<String> {
    let later = later?;
    match (before.and_then(|loss| loss.seconds()), later.seconds()) {
        (Some(_), None) => Some("how much would be lost is unknown now".into()),
        (Some(before), Some(seconds)) if seconds > before + LOSS => {
            Some(format!("the loss was {before:.0} s, and is {seconds:.0} s"))
        }
        (None, Some(_)) | (None, None) | (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::classes::DataClass;
    use crate::domain::spec::kinds::Undo;
    use crate::domain::time::At;

    fn card() -> GateCard {
        GateCard {
            at: At::UNIX_EPOCH,
            observed: Observed::NotDone { detail: "replica, 3 s behind".into() },
            summary: "promote db".into(),
            diff: vec!["- replica".into(), "+ writer".into()],
            guards: vec![Guard::pass("quorum", "3 of 3"), Guard::warn("ttl", "clients keep it for 300 s")],
            loss: Some((DataClass::Database, Loss::Estimated { seconds: 12.0 })),
            undo: Undo::PointOfNoReturn,
            last: None,
            projected: Some(60.0),
            pre_image: serde_json::Value::Null,
        }
    }

    #[test]
    fn numbers_that_count_on_and_better_news_ask_nobody_anew() {
        let mut later = card();
        later.observed = Observed::NotDone { detail: "replica, 44 s behind".into() };
        later.loss = Some((DataClass::Database, Loss::Estimated { seconds: 15.5 }));
        later.guards = vec![Guard::pass("quorum", "2 of 3"), Guard::warn("ttl", "clients keep it for 120.5 s")];
        assert_eq!(card().differs(&later), Vec::<String>::new());
        later.guards = Vec::new();
        assert_eq!(card().differs(&later), Vec::<String>::new(), "a warning is gone");
        assert!(!card().is_the_same(&later) && card().is_the_same(&GateCard { projected: None, ..card() }));
    }

    #[test]
    fn whatever_a_person_decides_on_is_told_when_it_is_worse_or_another() {
        let with = |change: fn(&mut GateCard)| {
            let mut later = card();
            change(&mut later);
            card().differs(&later)
        };
        type Change = fn(&mut GateCard);
        let rows: [(Change, &str); 9] = [
            (|it| it.observed = Observed::Unknowable { why: "no answer".into() }, "no answer"),
            (|it| it.summary = "promote other".into(), "promote other"),
            (|it| it.diff.push("+ more".into()), "the change is another"),
            (|it| it.undo = Undo::Revert, "undone"),
            (|it| it.guards.push(Guard::warn("name-servers", "silent")), "name-servers warns: silent"),
            (|it| it.guards[0] = Guard::block("quorum", "1 of 3"), "quorum blocks: 1 of 3"),
            (|it| it.guards[1] = Guard::warn("ttl", "nobody knows"), "ttl warns: nobody knows"),
            (|it| it.loss = Some((DataClass::Database, Loss::Unknown)), "unknown now"),
            (|it| it.loss = Some((DataClass::Database, Loss::Estimated { seconds: 99.0 })), "was 12 s, and is 99 s"),
        ];
        for (change, words) in rows {
            let found = with(change);
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        }
    }
}
