//! The regions that a plan can lead to, the best first, in lines for a form and for the list of plans.

use crate::domain::ids::RegionId;
use crate::domain::target::{Choice, HEAD};

/// One paragraph a region; the one that is `chosen` is marked.
pub fn lines(choices: &[Choice], chosen: &RegionId) -> Vec<String> {
    let line = |(nth, choice): (usize, &Choice)| {
        let mark = if choice.region == *chosen { "▸" } else { " " };
        let [region, seen, copy, room, plan] = choice.cells();
        let [_, _, copies, has_room, _] = HEAD;
        format!("{mark} {}. {region}: {seen}; {copies} {copy}; {has_room} {room}; {plan}", nth + 1)
    };
    choices.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;
    use crate::domain::readiness::Ready;
    use crate::domain::target::CopyThere;

    #[test]
    fn each_region_is_told_with_what_is_known_of_it() {
        let copy = |words: &str, within| CopyThere { store: "db".into(), behind: None, words: words.into(), within };
        let choice = |region: &str, copies, looked: Option<f64>| Choice {
            plan: format!("failover@{region}").as_str().into(),
            region: region.into(),
            status: Status::Healthy,
            far: Some(12),
            copies,
            room: None,
            ready: Ready::Ready,
            score: looked.map(|_| 97),
            looked,
        };
        let choices = [
            choice("eu", vec![copy("1.2 s", Some(true)), copy("no copy there", Some(false))], Some(5.0)),
            choice("us", Vec::new(), None),
        ];
        assert_eq!(
            lines(&choices, &"us".into()),
            [
                "  1. eu: healthy, 12 ms; oldest copy db: no copy there; room unknown; ready, 97 of 100",
                "▸ 2. us: healthy, 12 ms; oldest copy unknown; room unknown; not looked at yet",
            ]
        );
    }
}
