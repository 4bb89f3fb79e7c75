//! One name in one zone that clients are moved by: which of its record sets move together, and whether its name servers say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::health::Health;
use super::names::plain;
use super::records::{Division, Group, RecordSet, same};
use super::served::Served;
use super::zone::{Said, Zone};
use crate::domain::system::{Fault, Guard, Verified};
use crate::domain::text::clean;

/// What leads to a name's addresses, in the order of who matters most. Whoever moves only one of them leaves the clients of the others.
pub const FAMILY: [&str; 4] = ["A", "CNAME", "AAAA", "HTTPS"];

/// Types whose answers are compared with what they should be: the others have many ways of being written.
const COMPARED: [&str; 4] = ["A", "AAAA", "CNAME", "HTTPS"];

/// How often each name server is asked where clients go, when nothing else tells.
const ROUNDS: usize = 3;

/// A name, and the zone that it is in.
pub struct Target {
    pub zone: Arc<Zone>,
    pub name: String,
    /// Only this type; all of [`FAMILY`] when left out.
    pub kind: Option<String>,
}

/// The record sets of a name, by what a step does with them.
#[derive(Default)]
pub struct Held {
    /// Moved together.
    pub moved: Group,
    /// Left where they are: the type, and why.
    pub left: Vec<(String, String)>,
}

impl Target {
    /// The record sets as they are now.
    ///
    /// # Errors
    /// When they cannot be asked for, or cannot be divided as the plan wants it.
    pub async fn held(&self, division: &Division) -> Result<Result<Held, String>, Fault> {
        let all = self.zone.all_of(&self.name).await?;
        Ok(self.sort(&all, division))
    }

    fn sort(&self, all: &[RecordSet], division: &Division) -> Result<Held, String> {
        let mut by_kind: BTreeMap<&str, Group> = BTreeMap::new();
        for set in all {
            by_kind.entry(set.r#type.as_str()).or_default().push(set.clone());
        }
        let named = |why: String, kind: &str| format!("{} {kind}: {why}", plain(&self.name));
        let main = match &self.kind {
            Some(kind) => kind.as_str(),
            None => FAMILY.into_iter().find(|kind| by_kind.contains_key(kind)).unwrap_or("A"),
        };
        let first = by_kind.remove(main).unwrap_or_default();
        division.of(&first).map_err(|why| named(why, main))?;
        let mut held = Held { moved: first, left: Vec::new() };
        for kind in FAMILY.into_iter().filter(|kind| *kind != main) {
            let Some(group) = by_kind.remove(kind) else { continue };
            match (&self.kind, division.of(&group)) {
                (None, Ok(_)) => held.moved.extend(group),
                (None, Err(why)) => held.left.push((kind.to_owned(), why)),
                (Some(only), _) => held.left.push((kind.to_owned(), format!("the step moves only {only}"))),
            }
        }
        // As Route 53 lists them.
        held.moved.sort_by(|a, b| a.r#type.cmp(&b.r#type));
        Ok(held)
    }

    /// A warning for each type that stays where it is.
    pub fn left_guards(&self, held: &Held) -> Vec<Guard> {
        let guard = |(kind, why): &(String, String)| {
            let clients = match kind.as_str() {
                "AAAA" => "clients by IPv6 stay where they are",
                "HTTPS" => "clients that ask for HTTPS records may stay where they are",
                _ => "their clients stay where they are",
            };
            Guard::warn("other-types", clean(&format!("{} {kind} is not moved: {why}; {clients}", self.name)))
        };
        held.left.iter().map(guard).collect()
    }

    /// The type that name servers are asked for, when there is only one question.
    pub fn asked_kind(&self) -> String {
        let told = |kind: &&str| self.zone.told(&self.name, kind).is_some();
        self.kind.clone().unwrap_or_else(|| FAMILY.into_iter().find(told).unwrap_or("A").to_owned())
    }

    /// What the name servers say serves, by [`Zone::served`]; a simple record's value says whose it is by the plan.
    ///
    /// # Errors
    /// When it cannot be told who the name servers are.
    pub async fn served(&self, division: &Division) -> Result<Served, Fault> {
        let kind = self.asked_kind();
        let mut own = BTreeMap::new();
        for set in self.zone.told(&self.name, &kind).unwrap_or_default() {
            for region in division.values.keys() {
                let of = Division { to: region.clone(), ..division.clone() };
                for held in of.of(std::slice::from_ref(&set)).unwrap_or_default() {
                    own.extend(self.zone.values(&held).await.into_iter().map(|value| (value, region.clone())));
                }
            }
        }
        self.zone.served_by(&self.name, &kind, ROUNDS, own).await
    }

    /// Whether the name servers answer by `target`, where `before` was answered; `proven` when Route 53 itself says that they all have it.
    ///
    /// # Errors
    /// When it cannot be told who the name servers are.
    pub async fn verify(
        &self,
        before: &[RecordSet],
        target: &[RecordSet],
        to: &str,
        proven: bool,
    ) -> Result<Verified, Fault> {
        let kind = target.first().map_or("A", |set| set.r#type.as_str());
        if !COMPARED.contains(&kind) {
            let name = plain(&self.name);
            return Ok(match proven {
                true => Verified::Holds {
                    detail: format!("{name} {kind} is changed, by Route 53's word"),
                    recovery_point: None,
                },
                false => Verified::Pending {
                    detail: format!(
                        "{name} {kind} is changed; answers of this type are not compared, and Route 53 does not say that it is in sync"
                    ),
                },
            });
        }
        let said = self.zone.ask_servers(&self.name, kind).await?;
        let expected = Expected::of(&self.zone, before, target, to).await;
        Ok(match expected.answered(&said, proven) {
            Answered::AsWanted(detail) => Verified::Holds { detail, recovery_point: None },
            Answered::Silence(detail) => Verified::Pending { detail },
            Answered::Otherwise(seen) => self.explain(target, to, seen).await,
        })
    }

    /// Why the name servers say something else, as far as Route 53 tells.
    async fn explain(&self, target: &[RecordSet], to: &str, seen: String) -> Verified {
        let kind = target.first().map_or("A", |set| set.r#type.as_str());
        if let Ok(now) = self.zone.records(&self.name, kind).await
            && !same(&now, target)
        {
            let why =
                format!("{seen}, and the record sets are no longer what this step made of them: somebody changed them");
            return Verified::Broken { why };
        }
        let chosen = target.iter().find(|set| set.identifier() == to);
        if let Some(check) = chosen.and_then(|set| set.health_check_id.as_deref())
            && let Ok(Health::Unhealthy(why)) = self.zone.health(check).await
        {
            return Verified::Pending {
                detail: format!("{seen}, because the health check {check} of {to} is unhealthy ({why})"),
            };
        }
        if chosen.is_some_and(|set| set.evaluates() && set.failover.is_some()) {
            return Verified::Pending {
                detail: format!("{seen}; Route 53 may see that what {to} leads to is unhealthy"),
            };
        }
        Verified::Pending { detail: seen }
    }
}

/// What name servers are to answer.
struct Expected {
    /// The values of what gets the traffic; empty when they are not known.
    wanted: BTreeSet<String>,
    /// Everything that may be answered.
    allowed: BTreeSet<String>,
    /// What was answered before, and may no longer be.
    old: BTreeSet<String>,
    /// What stands for other names, whose addresses change by themselves and differ from place to place.
    aliases: Vec<String>,
}

impl Expected {
    async fn of(zone: &Zone, before: &[RecordSet], target: &[RecordSet], to: &str) -> Self {
        let (mut wanted, mut allowed, mut old) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for set in target.iter().filter(|set| set.takes_traffic()) {
            let values = zone.values(set).await;
            if set.identifier() == to || target.len() == 1 {
                wanted.extend(values.clone());
            }
            allowed.extend(values);
        }
        for set in before.iter().chain(target.iter().filter(|set| !set.takes_traffic())) {
            old.extend(zone.values(set).await.into_iter().filter(|value| !allowed.contains(value)));
        }
        let alias = |set: &RecordSet| set.alias_target.as_ref().map(|alias| plain(&alias.dns_name));
        let aliases = target.iter().filter(|set| set.takes_traffic()).filter_map(alias).collect();
        Self { wanted, allowed, old, aliases }
    }

    fn answered(&self, said: &[Said], proven: bool) -> Answered {
        let (mut heard, mut arrived, mut strange, mut silent) = (0, false, BTreeSet::new(), Vec::new());
        for (server, reply) in said {
            match reply {
                Ok(reply)
                    if !reply.values.is_empty() && reply.values.iter().all(|value| self.allowed.contains(value)) =>
                {
                    heard += 1;
                    arrived |= reply.values.iter().any(|value| self.wanted.contains(value));
                }
                // An alias leads to addresses that this host may see differently: all that can be said is that they are not the old ones.
                Ok(reply)
                    if !self.aliases.is_empty()
                        && !reply.values.is_empty()
                        && !reply.values.iter().any(|it| self.old.contains(it)) =>
                {
                    heard += 1;
                    strange.extend(reply.values.iter().cloned());
                }
                Ok(reply) => return Answered::Otherwise(format!("{server} still answers {}", reply.words())),
                Err(why) => silent.push(why.as_str()),
            }
        }
        let (all, wanted) = (said.len(), self.wanted.iter().cloned().collect::<Vec<_>>().join(", "));
        match () {
            () if heard == 0 => Answered::Silence(format!("no name server answers: {}", silent.join("; "))),
            // Without Route 53's word for it, every single one has to say so.
            () if !proven && heard < all => Answered::Silence(format!("{heard} of {all} name servers answer")),
            () if arrived => Answered::AsWanted(format!("{heard} of {all} name servers answer {wanted}")),
            () if !strange.is_empty() && (proven || !self.old.is_empty()) => Answered::AsWanted(format!(
                "{}, and {heard} of {all} name servers answer {}; whether that is {} cannot be resolved from here",
                if proven { "in sync" } else { "they no longer answer the old addresses" },
                strange.into_iter().collect::<Vec<_>>().join(", "),
                self.aliases.join(" or ")
            )),
            () if !strange.is_empty() => Answered::Silence(format!(
                "what {} stands for cannot be resolved from here, and Route 53 does not say that it is in sync",
                self.aliases.join(" or ")
            )),
            () => Answered::Otherwise(format!("{wanted} has not been answered yet")),
        }
    }
}

/// What the name servers' answers come to.
#[derive(Debug, PartialEq, Eq)]
enum Answered {
    AsWanted(String),
    Otherwise(String),
    Silence(String),
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;

    use super::*;
    use crate::systems::dns::ask::Reply;

    fn said(values: &[&str]) -> Said {
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        (
            "ns".into(),
            Ok(Reply { code: ResponseCode::NoError, authoritative: true, values, ttl: Some(60), elsewhere: None }),
        )
    }

    fn set_of(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn an_alias_that_cannot_be_resolved_here_is_moved_when_route_53_says_so() {
        let expected = |wanted: &[&str], old: &[&str], alias: bool| Expected {
            wanted: set_of(wanted),
            allowed: set_of(wanted),
            old: set_of(old),
            aliases: if alias { vec!["lb-west.example".into()] } else { vec![] },
        };
        let silent = || ("ns".to_owned(), Err("no answer".to_owned()));
        let (west, east) = ("198.51.100.1", "192.0.2.1");
        for (what, expected, said, proven, holds, words) in [
            ("as wanted", expected(&[west], &[east], false), vec![said(&[west])], false, true, "1 of 1"),
            ("still the old one", expected(&[west], &[east], true), vec![said(&[east])], true, false, "still answers"),
            (
                "not resolved, in sync",
                expected(&[], &[], true),
                vec![said(&["203.0.113.9"])],
                true,
                true,
                "cannot be resolved",
            ),
            (
                "not resolved, not said to be in sync",
                expected(&[], &[], true),
                vec![said(&["203.0.113.9"])],
                false,
                false,
                "in sync",
            ),
            (
                "not resolved, and not the old ones",
                expected(&[], &[east], true),
                vec![said(&["203.0.113.9"])],
                false,
                true,
                "no longer",
            ),
            (
                "other addresses of a balancer",
                expected(&[west], &[east], true),
                vec![said(&["203.0.113.9"])],
                true,
                true,
                "lb-west",
            ),
            (
                "a stranger's value",
                expected(&[west], &[east], false),
                vec![said(&["203.0.113.9"])],
                true,
                false,
                "still answers",
            ),
            (
                "half of them, in sync",
                expected(&[west], &[], false),
                vec![said(&[west]), silent()],
                true,
                true,
                "1 of 2",
            ),
            ("half of them", expected(&[west], &[], false), vec![said(&[west]), silent()], false, false, "1 of 2"),
            ("nobody", expected(&[west], &[], true), vec![silent()], true, false, "no name server"),
        ] {
            let answered = expected.answered(&said, proven);
            assert_eq!(matches!(answered, Answered::AsWanted(_)), holds, "{what}: {answered:?}");
            assert!(format!("{answered:?}").contains(words), "{what}: {answered:?}");
        }
    }

    fn record(kind: &str, identifier: Option<&str>, weight: i64) -> RecordSet {
        RecordSet {
            name: "app.example.".into(),
            r#type: kind.into(),
            set_identifier: identifier.map(str::to_owned),
            weight: identifier.map(|_| weight),
            failover: None,
            ttl: Some(60),
            resource_records: Vec::new(),
            alias_target: None,
            health_check_id: None,
            other: None,
        }
    }

    #[test]
    fn addresses_of_both_kinds_move_together_or_are_told_to_stay() {
        let zone = Arc::new(Zone::for_test("Z1"));
        let target = |kind: Option<&str>| Target {
            zone: zone.clone(),
            name: "app.example".into(),
            kind: kind.map(str::to_owned),
        };
        let to = Division { to: "west".into(), weight: 100, rest: 0, ..Division::default() };
        let both = |kind| [record(kind, Some("east"), 100), record(kind, Some("west"), 0)];
        let pair = [both("A"), both("AAAA")].concat();
        let held = target(None).sort(&pair, &to).unwrap();
        assert_eq!((held.moved.len(), held.left.len()), (4, 0));
        let only = target(Some("A")).sort(&pair, &to).unwrap();
        assert_eq!(only.moved.len(), 2);
        assert!(target(Some("A")).left_guards(&only)[0].detail.contains("clients by IPv6 stay"));
        let simple = [both("A").to_vec(), vec![record("AAAA", None, 0), record("TXT", None, 0)]].concat();
        let held = target(None).sort(&simple, &to).unwrap();
        assert_eq!((held.moved.len(), held.left.len()), (2, 1), "a TXT leads nobody anywhere");
        assert!(target(None).sort(&both("TXT"), &to).is_err_and(|why| why.contains("no such record set")));
    }
}
