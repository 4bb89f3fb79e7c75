//! Which record set is answered: weights, failover and health, by the rules of the Route 53 developer guide ("How Amazon Route 53
//! chooses records when health checking is configured").

use super::records::{Policy, RecordSet};

/// Chooses among the record sets of one name and type. `healthy` says how a record set's health check stands (one without a check
/// is healthy), `dice` picks a number below its argument.
pub fn choose<'a>(
    group: &[&'a RecordSet],
    healthy: impl Fn(&RecordSet) -> bool,
    dice: impl Fn(u64) -> u64,
) -> Option<&'a RecordSet> {
    match group.first()?.policy {
        Policy::Simple => group.first().copied(),
        Policy::Weighted(_) => weighted(group, healthy, dice),
        Policy::Failover { .. } => failover(group, healthy),
    }
}

/// Healthy records that have a weight share the traffic; records of weight 0 are the last resort; if nothing is healthy, all count
/// as healthy.
fn weighted<'a>(
    group: &[&'a RecordSet],
    healthy: impl Fn(&RecordSet) -> bool,
    dice: impl Fn(u64) -> u64,
) -> Option<&'a RecordSet> {
    let weight = |set: &RecordSet| match set.policy {
        Policy::Weighted(weight) => u64::from(weight),
        _ => 0,
    };
    let filtered = |needs_weight: bool, needs_health: bool| -> Vec<&'a RecordSet> {
        let fits = |set: &&&'a RecordSet| (!needs_weight || weight(set) > 0) && (!needs_health || healthy(set));
        group.iter().filter(fits).copied().collect()
    };
    let pool = [filtered(true, true), filtered(false, true), filtered(true, false), filtered(false, false)]
        .into_iter()
        .find(|pool| !pool.is_empty())?;
    let total: u64 = pool.iter().map(|set| weight(set)).sum();
    if total == 0 {
        // All weights are 0: an equal split.
        return pool.get(dice(pool.len() as u64) as usize).copied();
    }
    let mut at = dice(total);
    pool.into_iter().find(|set| {
        let here = weight(set);
        let hit = at < here;
        at = at.saturating_sub(here);
        hit
    })
}

/// The secondary is answered only if it is healthy and the primary is not.
fn failover<'a>(group: &[&'a RecordSet], healthy: impl Fn(&RecordSet) -> bool) -> Option<&'a RecordSet> {
    let of = |wanted: bool| group.iter().find(|set| set.policy == Policy::Failover { primary: wanted }).copied();
    match (of(true), of(false)) {
        (Some(primary), _) if healthy(primary) => Some(primary),
        (_, Some(secondary)) if healthy(secondary) => Some(secondary),
        (Some(primary), _) => Some(primary),
        (None, secondary) => secondary,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;

    use super::*;

    fn set(identifier: &str, policy: Policy) -> RecordSet {
        RecordSet::simple("a.example.", RecordType::A, 60, &["192.0.2.1"]).one_of_many(identifier, policy, "check")
    }

    /// The identifiers that all throws of the dice lead to.
    fn chosen(sets: &[RecordSet], sick: &[&str]) -> Vec<String> {
        let group: Vec<&RecordSet> = sets.iter().collect();
        let healthy = |set: &RecordSet| !sick.contains(&set.identifier.as_deref().unwrap());
        let mut all: Vec<String> = (0..256)
            .filter_map(|throw| choose(&group, healthy, |below| throw % below))
            .map(|set| set.identifier.clone().unwrap())
            .collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn weight_zero_is_the_last_resort_and_not_never() {
        let sets = [set("east", Policy::Weighted(100)), set("west", Policy::Weighted(0))];
        assert_eq!(chosen(&sets, &[]), ["east"]);
        assert_eq!(chosen(&sets, &["east"]), ["west"]);
        assert_eq!(chosen(&sets, &["east", "west"]), ["east"], "nothing healthy: all count as healthy");
    }

    #[test]
    fn all_weights_zero_is_an_equal_split() {
        let sets = [set("east", Policy::Weighted(0)), set("west", Policy::Weighted(0))];
        assert_eq!(chosen(&sets, &[]), ["east", "west"]);
        assert_eq!(chosen(&sets, &["east"]), ["west"]);
    }

    #[test]
    fn an_unhealthy_secondary_means_the_primary_whatever_its_health() {
        let sets = [set("one", Policy::Failover { primary: true }), set("two", Policy::Failover { primary: false })];
        assert_eq!(chosen(&sets, &[]), ["one"]);
        assert_eq!(chosen(&sets, &["one"]), ["two"]);
        assert_eq!(chosen(&sets, &["one", "two"]), ["one"]);
    }
}
