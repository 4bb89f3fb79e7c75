//! The synthetic client: asks the name server where GenNet is, then writes and reads once a second, and remembers how it went.
//! What it was promised and no longer finds is the true loss of a failover.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::app::{APP, PLATFORM, Refusal, Store, transact};
use super::world::{FRONT_DOORS, Tick, Truth};

const NAME: &str = "app.gennet.example";
const EVERY: Duration = Duration::from_secs(1);
/// How many acknowledged writes and outages are remembered.
const WRITES: usize = 1024;
const OUTAGES: usize = 64;

/// A time without success.
#[derive(Clone, Debug, Serialize)]
pub struct Outage {
    pub from: Timestamp,
    /// The first success after it; `None` while it lasts.
    pub to: Option<Timestamp>,
    /// What the first failure said.
    pub why: String,
}

/// A write that the application acknowledged.
struct Acknowledged {
    at: Timestamp,
    /// By the order of [`Store::ALL`]: whether the store that now serves does not have it.
    lost: [bool; Store::ALL.len()],
}

/// How the client fared.
#[derive(Default, Serialize)]
pub struct SyntheticClient {
    #[serde(skip)]
    due: Option<Timestamp>,
    pub succeeded: u64,
    pub failed: u64,
    /// Where DNS sends it.
    pub region: Option<&'static str>,
    /// Where its latest success was.
    pub served_by: Option<&'static str>,
    pub last_success: Option<Timestamp>,
    pub first_failure: Option<Timestamp>,
    pub outages: VecDeque<Outage>,
    /// Acknowledged writes of which at least one store lost its part, and by store.
    pub lost_writes: u64,
    pub lost_by_store: BTreeMap<&'static str, u64>,
    /// When the latest of them was acknowledged.
    pub lost_last: Option<Timestamp>,
    #[serde(skip)]
    acknowledged: VecDeque<Acknowledged>,
}

impl SyntheticClient {
    fn succeeds(&mut self, region: &'static str, at: Timestamp) {
        self.succeeded += 1;
        self.last_success = Some(at);
        self.served_by = Some(region);
        if let Some(outage) = self.outages.back_mut().filter(|outage| outage.to.is_none()) {
            outage.to = Some(at);
        }
        if self.acknowledged.len() == WRITES {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(Acknowledged { at, lost: Default::default() });
    }

    fn fails(&mut self, at: Timestamp, why: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(at);
        if self.outages.back().is_none_or(|outage| outage.to.is_some()) {
            if self.outages.len() == OUTAGES {
                self.outages.pop_front();
            }
            self.outages.push_back(Outage { from: at, to: None, why });
        }
    }

    /// `store` took a new write while the newest it had was `newest`: what was acknowledged after that is gone.
    fn misses(&mut self, nth: usize, store: Store, newest: Timestamp) {
        let (mut parts, mut writes) = (0, 0);
        for write in self.acknowledged.iter_mut().rev().take_while(|write| write.at > newest) {
            if !write.lost[nth] {
                parts += 1;
                self.lost_last = self.lost_last.max(Some(write.at));
                writes += u64::from(!write.lost.contains(&true));
                write.lost[nth] = true;
            }
        }
        if parts > 0 {
            *self.lost_by_store.entry(store.word()).or_default() += parts;
            self.lost_writes += writes;
        }
    }
}

pub fn tick(truth: &mut Truth, tick: &Tick<'_>) {
    if truth.client.due.is_some_and(|due| tick.now < due) {
        return;
    }
    truth.client.due = Some(tick.now + tick.pace.scale(EVERY));
    let address = truth.route53.resolve(NAME);
    let region = FRONT_DOORS.iter().find(|(_, ip)| Some(*ip) == address).map(|(region, _)| *region);
    truth.client.region = region;
    let Some(region) = region else {
        return truth.client.fails(tick.now, format!("{NAME} is not answered with a front door"));
    };
    match tick.faults.condition(APP, Some(region)) {
        condition if condition.serves() => write(truth, region, tick.now),
        condition => truth.client.fails(tick.now, format!("the front door of {region} does not serve ({condition:?})")),
    }
}

fn write(truth: &mut Truth, region: &'static str, at: Timestamp) {
    let before = Store::ALL.map(|store| store.newest(truth, region));
    let outcome = transact(truth, region, PLATFORM, at);
    for (nth, store) in Store::ALL.into_iter().enumerate() {
        let took_it = store.newest(truth, region).is_some_and(|newest| newest >= at);
        if let Some(newest) = before[nth].filter(|_| took_it) {
            truth.client.misses(nth, store, newest);
        }
    }
    match outcome {
        Ok(_) => truth.client.succeeds(region, at),
        Err(Refusal { part, why, .. }) => truth.client.fails(at, format!("{part} in {region}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn what_the_serving_copy_does_not_have_is_lost_once() {
        let mut client = SyntheticClient::default();
        (0..10).for_each(|second| client.succeeds("us-east-1", at(second)));
        client.misses(0, Store::Rds, at(6));
        client.misses(2, Store::Redis, at(7));
        client.misses(2, Store::Redis, at(7));
        assert_eq!(client.lost_writes, 3, "7, 8 and 9");
        assert_eq!(client.lost_by_store, BTreeMap::from([("rds", 3), ("redis", 2)]));
    }

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_success() {
        let mut client = SyntheticClient::default();
        client.succeeds("us-east-1", at(0));
        client.fails(at(1), "dark".into());
        client.fails(at(2), "still dark".into());
        client.succeeds("us-west-2", at(3));
        client.fails(at(4), "again".into());
        let spans: Vec<_> = client.outages.iter().map(|outage| (outage.from, outage.to)).collect();
        assert_eq!(spans, [(at(1), Some(at(3))), (at(4), None)]);
        assert_eq!((client.first_failure, client.served_by), (Some(at(1)), Some("us-west-2")));
    }
}
