//! Record sets as Mayday keeps them: in the journal they look like the change batches of the `aws` command, so that a pre-image can
//! be replayed by hand.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::plain;
use crate::domain::text::clean;

/// The record sets of one name and type: what a shift changes as one.
pub type Group = Vec<RecordSet>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordSet {
    pub name: String,
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<String>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_records: Vec<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_target: Option<Alias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_id: Option<String>,
    /// What decides that is neither a weight nor a role, as people say it: it is read, and never changed.
    #[serde(skip)]
    pub other: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Alias {
    pub hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    pub dns_name: String,
    pub evaluate_target_health: bool,
}

const PRIMARY: &str = "PRIMARY";
const SECONDARY: &str = "SECONDARY";

impl RecordSet {
    /// Takes over what Route 53 lists.
    pub fn read(set: &ResourceRecordSet) -> Self {
        let alias = set.alias_target.as_ref().map(|alias| Alias {
            hosted_zone_id: alias.hosted_zone_id.clone(),
            dns_name: alias.dns_name.clone(),
            evaluate_target_health: alias.evaluate_target_health,
        });
        Self {
            name: set.name.clone(),
            r#type: set.r#type.as_str().to_owned(),
            set_identifier: set.set_identifier.clone(),
            weight: set.weight,
            failover: set.failover.as_ref().map(|failover| failover.as_str().to_owned()),
            ttl: set.ttl,
            resource_records: set.resource_records().iter().map(|it| Record { value: it.value.clone() }).collect(),
            alias_target: alias,
            health_check_id: set.health_check_id.clone(),
            other: other(set),
        }
    }

    fn to_sdk(&self) -> Result<ResourceRecordSet, String> {
        let told = |error: aws_sdk_route53::error::BuildError| error.to_string();
        let records = self.resource_records.iter().map(|it| ResourceRecord::builder().value(&it.value).build());
        let records = records.collect::<Result<Vec<_>, _>>().map_err(told)?;
        let alias = self.alias_target.as_ref().map(|alias| {
            AliasTarget::builder()
                .hosted_zone_id(&alias.hosted_zone_id)
                .dns_name(&alias.dns_name)
                .evaluate_target_health(alias.evaluate_target_health)
                .build()
        });
        ResourceRecordSet::builder()
            .name(&self.name)
            .r#type(RrType::from(self.r#type.as_str()))
            .set_set_identifier(self.set_identifier.clone())
            .set_weight(self.weight)
            .set_failover(self.failover.as_deref().map(ResourceRecordSetFailover::from))
            .set_ttl(self.ttl)
            .set_resource_records((!records.is_empty()).then_some(records))
            .set_alias_target(alias.transpose().map_err(told)?)
            .set_health_check_id(self.health_check_id.clone())
            .build()
            .map_err(told)
    }

    pub fn identifier(&self) -> &str {
        self.set_identifier.as_deref().unwrap_or_default()
    }

    /// Whether clients are meant to be sent here: it has a weight, or is the primary.
    pub fn takes_traffic(&self) -> bool {
        match (self.weight, &self.failover) {
            (Some(weight), _) => weight > 0,
            (None, Some(failover)) => failover == PRIMARY,
            (None, None) => true,
        }
    }

    /// What its routing policy says of it: `weight 100`, `PRIMARY`.
    pub fn policy(&self) -> String {
        match (self.weight, &self.failover) {
            (Some(weight), _) => format!("weight {weight}"),
            (None, Some(failover)) => clean(failover),
            (None, None) => self.other.clone().unwrap_or_else(|| "simple".into()),
        }
    }

    /// Whether Route 53 itself looks at what it leads to, instead of a health check.
    pub fn evaluates(&self) -> bool {
        self.alias_target.as_ref().is_some_and(|alias| alias.evaluate_target_health)
    }

    /// Whether nothing but its one value decides where clients go.
    fn is_simple(&self) -> bool {
        self.set_identifier.is_none() && self.weight.is_none() && self.failover.is_none() && self.other.is_none()
    }

    /// The value that people see: of an alias what it stands for.
    fn value(&self) -> String {
        match &self.alias_target {
            Some(alias) => plain(&alias.dns_name),
            None => {
                let mut values: Vec<String> = self.resource_records.iter().map(|it| plain(&it.value)).collect();
                values.sort();
                values.join(",")
            }
        }
    }

    /// One line that tells all that it holds.
    fn line(&self) -> String {
        let mut values: Vec<&str> = self.resource_records.iter().map(|it| it.value.as_str()).collect();
        values.extend(self.alias_target.iter().map(|alias| alias.dns_name.as_str()));
        let ttl = self.ttl.map_or_else(|| "alias".into(), |ttl| format!("{ttl} s"));
        let check = self.health_check_id.as_deref().unwrap_or("none");
        let (name, kind, identifier, policy) = (&self.name, &self.r#type, self.identifier(), self.policy());
        clean(&format!("{name} {kind} {identifier}: {policy} → {} ttl {ttl} health-check {check}", values.join(",")))
    }
}

/// What decides where clients go, when that is neither a weight nor a role.
fn other(set: &ResourceRecordSet) -> Option<String> {
    let place = |geo: &aws_sdk_route53::types::GeoLocation| {
        let part = [&geo.subdivision_code, &geo.country_code, &geo.continent_code].into_iter().flatten().next();
        part.map_or_else(String::new, |part| format!(" {}", clean(part)))
    };
    match () {
        () if set.region.is_some() => {
            Some(format!("latency routing {}", set.region.as_ref().map_or("", |region| region.as_str())))
        }
        () if set.geo_location.is_some() => {
            Some(format!("geolocation routing{}", set.geo_location.as_ref().map(place).unwrap_or_default()))
        }
        () if set.geo_proximity_location.is_some() => Some("geoproximity routing".into()),
        () if set.cidr_routing_config.is_some() => Some("IP-based routing".into()),
        () if set.multi_value_answer.is_some() => Some("multivalue answers".into()),
        () if set.traffic_policy_instance_id.is_some() => Some("a traffic policy".into()),
        () => None,
    }
}

/// How traffic is divided after a shift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// The set identifier that gets the traffic.
    pub to: String,
    /// Its weight, and that of all others, where the policy is by weights.
    pub weight: i64,
    pub rest: i64,
    /// What a simple record holds for each region: values parted by commas, or the name that an alias stands for.
    pub values: BTreeMap<String, String>,
    /// The hosted zone of what an alias stands for, for each region.
    pub alias_zones: BTreeMap<String, String>,
}

impl Division {
    /// The group as it shall be: weights as told, or the primary's and the secondary's roles exchanged.
    ///
    /// # Errors
    /// Why this group cannot be divided so.
    pub fn of(&self, group: &[RecordSet]) -> Result<Group, String> {
        if let Some(set) = group.iter().find(|set| set.other.is_some()) {
            return Err(format!(
                "it uses {}: Route 53 chooses for each client, and there is nothing to shift; force the health check of the region that is left",
                set.policy()
            ));
        }
        if let [set] = group
            && set.is_simple()
        {
            return self.of_simple(set).map(|set| vec![set]);
        }
        let identifiers: Vec<String> = group.iter().map(|set| clean(set.identifier())).collect();
        if !group.iter().any(|set| set.identifier() == self.to) {
            return Err(match group.len() {
                0 => "there is no such record set".into(),
                _ => format!("there is no set identifier {}, only {}", self.to, identifiers.join(", ")),
            });
        }
        let failover = group.iter().all(|set| set.failover.is_some());
        if !failover && !group.iter().all(|set| set.weight.is_some()) {
            return Err("its routing policy is neither weighted nor failover".into());
        }
        let divided = group.iter().map(|set| {
            let chosen = set.identifier() == self.to;
            match failover {
                true => {
                    let role = if chosen { PRIMARY } else { SECONDARY };
                    RecordSet { failover: Some(role.into()), ..set.clone() }
                }
                false => RecordSet { weight: Some(if chosen { self.weight } else { self.rest }), ..set.clone() },
            }
        });
        Ok(divided.collect())
    }

    /// A record that has one value for everybody, with the value of the region that gets the traffic.
    fn of_simple(&self, set: &RecordSet) -> Result<RecordSet, String> {
        let lacks = || format!("it is a simple record: say in `values` what it holds for {}", self.to);
        let value = self.values.get(&self.to).ok_or_else(lacks)?;
        match &set.alias_target {
            Some(alias) => {
                // The same target is the same alias, however its name is written.
                let dns_name = if plain(value) == plain(&alias.dns_name) {
                    alias.dns_name.clone()
                } else {
                    format!("{}.", plain(value))
                };
                let hosted_zone_id = self.alias_zones.get(&self.to).unwrap_or(&alias.hosted_zone_id).clone();
                Ok(RecordSet { alias_target: Some(Alias { dns_name, hosted_zone_id, ..alias.clone() }), ..set.clone() })
            }
            None => {
                let wanted: Vec<String> =
                    value.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
                let new = RecordSet {
                    resource_records: wanted.into_iter().map(|value| Record { value }).collect(),
                    ..set.clone()
                };
                Ok(if new.value() == set.value() { set.clone() } else { new })
            }
        }
    }
}

/// Whether two groups hold the same, in whatever order.
pub fn same(one: &[RecordSet], other: &[RecordSet]) -> bool {
    one.len() == other.len() && one.iter().all(|set| other.contains(set))
}

/// The change from one group to another as lines of a diff.
pub fn diff(from: &[RecordSet], to: &[RecordSet]) -> Vec<String> {
    let mut lines = Vec::new();
    for (old, new) in from.iter().zip(to) {
        match old == new {
            true => lines.push(format!(" {}", old.line())),
            false => lines.extend([format!("-{}", old.line()), format!("+{}", new.line())]),
        }
    }
    lines
}

/// How the record sets of a name divide the traffic now.
pub fn present(sets: &[RecordSet]) -> String {
    let each = |sets: &[&RecordSet]| {
        sets.iter()
            .map(|set| format!("{} {}", set.identifier(), shown(set)).trim().to_owned())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let pieces: Vec<&RecordSet> = sets.iter().collect();
    by_name(&pieces, |set| *set, |all| each(all))
}

/// What is said of one record set: its part, and of a simple one its value.
fn shown(set: &RecordSet) -> String {
    if set.is_simple() { set.value() } else { set.policy() }
}

/// One line of all names and types, each with what `words` makes of it; a single one without its type.
fn by_name<T>(all: &[T], of: impl Fn(&T) -> &RecordSet, words: impl Fn(&[T]) -> String) -> String {
    let groups: Vec<&[T]> = all.chunk_by(|a, b| of(a).name == of(b).name && of(a).r#type == of(b).r#type).collect();
    let single = groups.len() <= 1;
    let line = |group: &&[T]| {
        let set = group.first().map(&of);
        let name = set.map_or_else(String::new, |set| plain(&set.name));
        let kind = set.filter(|_| !single).map_or_else(String::new, |set| format!(" {}", set.r#type));
        format!("{name}{kind}: {}", words(group))
    };
    clean(&groups.iter().map(line).collect::<Vec<_>>().join("; "))
}

/// The change in one line: `app.gennet.example: us-east-1 weight 100 → weight 0, …`.
pub fn summary(from: &[RecordSet], to: &[RecordSet]) -> String {
    let pairs: Vec<(&RecordSet, &RecordSet)> = from.iter().zip(to).collect();
    let words = |pairs: &[(&RecordSet, &RecordSet)]| {
        let moved = pairs.iter().filter(|(old, new)| old != new);
        let moved: Vec<String> = moved
            .map(|(old, new)| format!("{} {} → {}", old.identifier(), shown(old), shown(new)).trim().to_owned())
            .collect();
        if moved.is_empty() { "nothing to change".into() } else { moved.join(", ") }
    };
    by_name(&pairs, |(old, _)| old, words)
}

/// A compare-and-swap: `DELETE` has to match every value that is there, or the whole batch is refused. Record sets that stay as they are
/// take part too, so that any drift is noticed.
fn swap<'a>(from: &'a [RecordSet], to: &'a [RecordSet]) -> impl Iterator<Item = (ChangeAction, &'a RecordSet)> {
    let deleted = from.iter().map(|set| (ChangeAction::Delete, set));
    deleted.chain(to.iter().map(|set| (ChangeAction::Create, set)))
}

/// The swap as the SDK takes it.
///
/// # Errors
/// When a record set lacks what the SDK requires.
pub fn changes(from: &[RecordSet], to: &[RecordSet]) -> Result<Vec<Change>, String> {
    swap(from, to)
        .map(|(action, set)| {
            let change = Change::builder().action(action).resource_record_set(set.to_sdk()?);
            change.build().map_err(|error| error.to_string())
        })
        .collect()
}

/// The swap as the `aws` command takes it.
pub fn change_batch(from: &[RecordSet], to: &[RecordSet]) -> Value {
    let each: Vec<Value> =
        swap(from, to).map(|(action, set)| json!({ "Action": action.as_str(), "ResourceRecordSet": set })).collect();
    json!({ "Changes": each })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(identifier: &str, weight: Option<i64>, failover: Option<&str>) -> RecordSet {
        RecordSet {
            name: "app.example.".into(),
            r#type: "A".into(),
            set_identifier: Some(identifier.into()),
            weight,
            failover: failover.map(str::to_owned),
            ttl: Some(60),
            resource_records: vec![Record { value: "192.0.2.1".into() }],
            alias_target: None,
            health_check_id: Some("check".into()),
            other: None,
        }
    }

    fn to(identifier: &str) -> Division {
        Division { to: identifier.into(), weight: 100, rest: 0, ..Division::default() }
    }

    #[test]
    fn weights_move_and_roles_are_exchanged() {
        let weighted = [set("east", Some(100), None), set("west", Some(0), None)];
        let after = to("west").of(&weighted).unwrap();
        assert_eq!([after[0].weight, after[1].weight], [Some(0), Some(100)]);
        assert_eq!(to("west").of(&after).unwrap(), after, "a second shift changes nothing");
        assert!(summary(&weighted, &after).contains("west weight 0 → weight 100"));
        assert_eq!(diff(&weighted, &after).len(), 4);

        let pair = [set("one", None, Some(PRIMARY)), set("two", None, Some(SECONDARY))];
        let after = to("two").of(&pair).unwrap();
        assert_eq!(after[0].failover.as_deref(), Some(SECONDARY));
        assert_eq!(after[1].failover.as_deref(), Some(PRIMARY));
    }

    #[test]
    fn what_cannot_be_divided_is_refused() {
        assert!(to("west").of(&[]).is_err());
        assert!(to("north").of(&[set("east", Some(1), None)]).unwrap_err().contains("only east"));
        assert!(to("east").of(&[set("east", None, None)]).unwrap_err().contains("neither weighted nor failover"));
        let near = RecordSet { other: Some("latency routing us-east-1".into()), ..set("east", None, None) };
        assert!(to("east").of(&[near]).unwrap_err().contains("latency routing us-east-1"));
    }

    #[test]
    fn a_simple_record_gets_the_value_of_the_region() {
        let simple = |value: &str| RecordSet {
            set_identifier: None,
            resource_records: value.split(',').map(|it| Record { value: it.into() }).collect(),
            ..set("", None, None)
        };
        let values =
            [("east", "192.0.2.1, 192.0.2.2"), ("west", "198.51.100.1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let to = |region: &str| Division { values: values.clone().into(), ..to(region) };
        let east = [simple("192.0.2.2,192.0.2.1")];
        assert_eq!(to("east").of(&east).unwrap(), east, "the order of values means nothing");
        let west = to("west").of(&east).unwrap();
        assert_eq!(summary(&east, &west), "app.example: 192.0.2.1,192.0.2.2 → 198.51.100.1");
        assert!(to("north").of(&east).unwrap_err().contains("say in `values`"));

        let target = |name: &str, zone: &str| Alias {
            hosted_zone_id: zone.into(),
            dns_name: name.into(),
            evaluate_target_health: true,
        };
        let alias = [RecordSet {
            ttl: None,
            resource_records: Vec::new(),
            alias_target: Some(target("LB-east.example.", "ZE")),
            ..simple("")
        }];
        let names =
            [("east", "lb-east.example"), ("west", "lb-west.example")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let zones = [("west".to_owned(), "ZW".to_owned())];
        let to =
            |region: &str| Division { values: names.clone().into(), alias_zones: zones.clone().into(), ..to(region) };
        assert_eq!(to("east").of(&alias).unwrap(), alias);
        assert_eq!(to("west").of(&alias).unwrap()[0].alias_target, Some(target("lb-west.example.", "ZW")));
    }

    #[test]
    fn several_names_and_types_are_told_apart() {
        let six = |identifier: &str, weight| RecordSet { r#type: "AAAA".into(), ..set(identifier, Some(weight), None) };
        let from = [set("east", Some(100), None), set("west", Some(0), None), six("east", 100), six("west", 0)];
        let (a, b) = from.split_at(2);
        let both: Group = [to("west").of(a).unwrap(), to("west").of(b).unwrap()].concat();
        let told = summary(&from, &both);
        assert!(
            told.starts_with("app.example A: east weight 100 → weight 0") && told.contains("; app.example AAAA: "),
            "{told}"
        );
    }

    #[test]
    fn a_pre_image_reads_back_and_can_be_pasted() {
        let before = vec![set("east", Some(100), None), set("west", Some(0), None)];
        let kept = serde_json::to_value(&before).unwrap();
        assert_eq!(kept[0]["TTL"], 60);
        assert_eq!(serde_json::from_value::<Group>(kept).unwrap(), before);
        let batch = change_batch(&before, &to("west").of(&before).unwrap());
        let actions: Vec<&str> =
            batch["Changes"].as_array().unwrap().iter().filter_map(|it| it["Action"].as_str()).collect();
        assert_eq!(actions, ["DELETE", "DELETE", "CREATE", "CREATE"]);
    }
}
