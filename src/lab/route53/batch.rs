//! A change batch: all of it, or nothing.

use std::str::FromStr;

use hickory_proto::rr::RecordType;
use roxmltree::Node;

use super::super::xml::{child, children, text};
use super::records::{Policy, RecordSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Delete,
    Upsert,
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "CREATE" => Ok(Self::Create),
            "DELETE" => Ok(Self::Delete),
            "UPSERT" => Ok(Self::Upsert),
            _ => Err(format!("Invalid action '{text}'")),
        }
    }
}

/// What `ChangeResourceRecordSets` asks for.
#[derive(Debug)]
pub struct Batch {
    pub comment: Option<String>,
    changes: Vec<(Action, RecordSet)>,
}

impl Batch {
    /// Reads a `ChangeResourceRecordSetsRequest` element.
    ///
    /// # Errors
    /// What makes it no valid input.
    pub fn from_xml(root: Node<'_, '_>) -> Result<Self, String> {
        let batch = child(root, "ChangeBatch").ok_or("a ChangeBatch is needed")?;
        let listed = child(batch, "Changes").ok_or("Changes are needed")?;
        let read = |change: Node<'_, '_>| {
            let set = child(change, "ResourceRecordSet").ok_or("a ResourceRecordSet is needed")?;
            Ok((text(change, "Action").unwrap_or_default().parse()?, RecordSet::from_xml(set)?))
        };
        let changes = children(listed, "Change").map(read).collect::<Result<Vec<_>, String>>()?;
        if changes.is_empty() {
            return Err("at least one Change is needed".into());
        }
        Ok(Self { comment: text(batch, "Comment").map(str::to_owned), changes })
    }

    /// What it is about, in a few words for the ledger.
    pub fn target(&self) -> String {
        self.changes.first().map(|(_, set)| set.name.clone()).unwrap_or_default()
    }

    /// The ids of the health checks that it refers to.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|(action, _)| *action != Action::Delete).filter_map(|(_, set)| set.check.as_deref())
    }

    /// The record sets of `zone` as they will be, sorted.
    ///
    /// # Errors
    /// Everything that is wrong with the batch, in Route 53's words; nothing is changed then.
    pub fn applied_to(&self, zone: &str, records: &[RecordSet]) -> Result<Vec<RecordSet>, Vec<String>> {
        let (mut after, mut wrong) = (records.to_vec(), Vec::new());
        for (action, set) in &self.changes {
            if set.name != zone && !set.name.ends_with(&format!(".{zone}")) {
                wrong.push(format!("RRSet with DNS name {} is not permitted in zone {zone}", set.name));
                continue;
            }
            let at = after.iter().position(|it| it.same_entry(set));
            match (action, at) {
                (Action::Create, Some(_)) => {
                    wrong
                        .push(format!("Tried to create resource record set {} but it already exists", set.described()));
                }
                (Action::Delete, None) => {
                    wrong.push(format!("Tried to delete resource record set {} but it was not found", set.described()));
                }
                (Action::Delete, Some(at)) if after[at] != *set => wrong.push(format!(
                    "Tried to delete resource record set {} but the values provided do not match the current values",
                    set.described()
                )),
                (Action::Delete, Some(at)) => {
                    after.remove(at);
                }
                (Action::Upsert, Some(at)) => after[at] = set.clone(),
                (Action::Create | Action::Upsert, None) => after.push(set.clone()),
            }
        }
        wrong.extend(contradictions(zone, &after));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        after.sort_by_key(RecordSet::key);
        Ok(after)
    }
}

/// What cannot stand in one zone.
fn contradictions(zone: &str, records: &[RecordSet]) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in [RecordType::SOA, RecordType::NS] {
        if !records.iter().any(|set| set.name == zone && set.kind == kind) {
            wrong.push(format!("A HostedZone must contain at least one {kind} record for the zone itself."));
        }
    }
    for (nth, set) in records.iter().enumerate() {
        for other in records[..nth].iter().filter(|other| other.name == set.name) {
            if other.kind == set.kind && !set.policy.mixes_with(other.policy) {
                wrong.push(format!(
                    "RRSet with DNS name {}, type {} cannot be created as it conflicts with the routing policy of others",
                    set.name, set.kind
                ));
            } else if other.kind == set.kind
                && matches!(set.policy, Policy::Failover { .. })
                && set.policy == other.policy
            {
                wrong.push(format!("RRSet {} repeats the failover role of another one", set.described()));
            } else if (other.kind == RecordType::CNAME) != (set.kind == RecordType::CNAME) {
                wrong.push(format!(
                    "RRSet of type CNAME with DNS name {} is not permitted as it conflicts with other records with the same DNS name",
                    set.name
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "a.example.";

    fn zone() -> Vec<RecordSet> {
        vec![
            RecordSet::simple(ZONE, RecordType::NS, 60, &["ns.a.example."]),
            RecordSet::simple(ZONE, RecordType::SOA, 60, &["ns.a.example. h.a.example. 1 7200 900 1209600 86400"]),
            RecordSet::simple("www.a.example.", RecordType::A, 60, &["192.0.2.1", "192.0.2.2"]),
        ]
    }

    fn batch(changes: &[(Action, RecordSet)]) -> Result<Vec<RecordSet>, Vec<String>> {
        Batch { comment: None, changes: changes.to_vec() }.applied_to(ZONE, &zone())
    }

    #[test]
    fn delete_has_to_match_every_value() {
        let old = RecordSet::simple("www.a.example.", RecordType::A, 60, &["192.0.2.2", "192.0.2.1"]);
        assert_eq!(batch(&[(Action::Delete, old.clone())]).unwrap().len(), 2, "the order of values means nothing");
        for wrong in [RecordSet { ttl: 61, ..old.clone() }, RecordSet { values: vec!["192.0.2.1".into()], ..old }] {
            assert!(batch(&[(Action::Delete, wrong)]).unwrap_err()[0].contains("do not match"));
        }
    }

    #[test]
    fn one_wrong_change_undoes_all_and_every_mistake_is_told() {
        let fine = RecordSet::simple("new.a.example.", RecordType::A, 60, &["192.0.2.3"]);
        let there = RecordSet::simple("www.a.example.", RecordType::A, 60, &["192.0.2.9"]);
        let elsewhere = RecordSet::simple("www.b.example.", RecordType::A, 60, &["192.0.2.9"]);
        let wrong = [(Action::Create, fine), (Action::Create, there), (Action::Upsert, elsewhere)];
        let messages = batch(&wrong).unwrap_err();
        assert_eq!(messages.len(), 2);
        assert!(messages[0].contains("already exists") && messages[1].contains("not permitted in zone"));
    }

    #[test]
    fn routing_policies_do_not_mix() {
        let weighted = RecordSet::simple("www.a.example.", RecordType::A, 60, &["192.0.2.3"]);
        let weighted = weighted.one_of_many("west", Policy::Weighted(1), "check");
        assert!(batch(&[(Action::Create, weighted)]).is_err());
    }
}
