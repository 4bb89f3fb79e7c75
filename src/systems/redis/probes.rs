//! Looking at the deployment once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Redis;
use super::client::{Peer, is_refusal};
use super::look::Sight;
use super::node::{Server, two_writers};
use super::writes::Writes;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::params::Params;
use crate::domain::system::Fault;

impl Redis {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        // Two questions one after the other, and both a little sooner than the caller: one peer that is silent must not make
        // everything look silent.
        let patience = spec.timeout.0.mul_f64(0.45);
        match spec.kind.as_str() {
            "redis.sentinels" => sentinels(&self.look_within(patience).await),
            "redis.master" => self.probe_master(patience).await,
            "redis.ping" => self.probe_ping(spec).await,
            other => Reading::unknown(format!("redis has no probe `{other}`")),
        }
    }

    async fn probe_master(&self, patience: Duration) -> Reading {
        let sight = self.look_within(patience).await;
        let agreed = sight.agreed();
        let named = agreed.or(sight.newest().map(|view| view.master.as_str()));
        if named.is_none() && sight.refuses() {
            return Reading::unknown(format!("who the master is, is not told: {}", sight.summary()));
        }
        let mut servers = self.servers_within(patience, sight.addresses(self)).await;
        let Some(master) = named else { return self.unwatched(&sight, &servers) };
        let place = self.placed(master);
        // One that is known by another address meanwhile is found under that at the next look.
        let unasked =
            || Err(Fault::permanent(&self.id, format!("{place} was not asked: it is known by another address now")));
        let answer = servers.remove(master).unwrap_or_else(unasked);
        let others = self.masters(servers.values());
        match answer {
            Err(fault) if others.is_empty() => silence(&fault),
            // Who refuses lives, and may well be the master that the Sentinels say it is.
            Err(fault) if is_refusal(&fault) => {
                let others = others.join(" and ");
                Reading::unknown(format!(
                    "refused: {}; whether it takes writes is not known, and {others} says that it does",
                    fault.what
                ))
            }
            Err(fault) => Reading::down(format!("{}; {} takes writes", fault.what, others.join(" and "))),
            Ok(server) if server.master && !others.is_empty() => {
                Reading::degraded(two_writers(&place, &others)).took(server.took)
            }
            Ok(server) if !server.master => Reading::down(format!("{place} is only a replica")).took(server.took),
            Ok(server) => {
                let epoch = sight.newest().map_or(0, |view| view.epoch);
                let sure = agreed.is_some().then(|| format!("epoch {epoch}"));
                self.serves(&place, &server, sure.ok_or(format!("but no majority says so: {}", sight.summary())))
            }
        }
    }

    /// A master that says so, by whether it takes writes and has replicas. `sure` holds who else says so, or why nobody does.
    fn serves(&self, place: &str, server: &Server, sure: Result<String, String>) -> Reading {
        let reading = match (&server.writes, sure) {
            (Writes::Refuses(_) | Writes::Fenced(_), _) => {
                Reading::down(format!("{place} {}", server.writes.against().unwrap_or_default()))
            }
            (_, Err(why)) => Reading::degraded(format!("{place}, {why}")),
            (Writes::Doubtful(_), _) => {
                Reading::degraded(format!("{place} {}", server.writes.against().unwrap_or_default()))
            }
            _ if server.followers.is_empty() => Reading::degraded(format!("{place}, without any replica")),
            (writes, Ok(sure)) => {
                let untried = match writes {
                    Writes::Untried(why) => format!("; a write was not tried: {why}"),
                    _ => String::new(),
                };
                Reading::healthy(format!("{place}, {} replicas, {sure}{untried}", server.followers.len()))
            }
        };
        reading.took(server.took)
    }

    /// When no Sentinel says who the master is, because there is none, or none answers: by what the servers say themselves.
    fn unwatched(&self, sight: &Sight, servers: &BTreeMap<String, Result<Server, Fault>>) -> Reading {
        let masters: Vec<&Server> = servers.values().flatten().filter(|server| server.master).collect();
        let refusal = servers.values().filter_map(|answer| answer.as_ref().err()).find(|fault| is_refusal(fault));
        let replicas = servers.values().flatten().count();
        match (&masters[..], refusal) {
            ([], Some(fault)) => silence(fault),
            ([], None) if replicas > 0 => {
                Reading::down(format!("no server that answers is a master, {replicas} follow one; {}", sight.summary()))
            }
            ([], None) => Reading::down(format!("nobody says who the master is: {}", sight.summary())),
            ([_], Some(fault)) => Reading::unknown(format!(
                "{} says it is the master; whether it is the only one is not known: {}",
                self.placed(&masters[0].address),
                fault.what
            )),
            ([only], None) => {
                let sure = (sight.asked == 0).then(|| "the only one that says so".to_owned());
                self.serves(&self.placed(&only.address), only, sure.ok_or_else(|| sight.summary()))
            }
            ([first, rest @ ..], _) => {
                let rest: Vec<String> = rest.iter().map(|server| self.placed(&server.address)).collect();
                Reading::degraded(two_writers(&self.placed(&first.address), &rest))
            }
        }
    }

    async fn probe_ping(&self, spec: &ProbeSpec) -> Reading {
        let addresses = self.pinged(&spec.params, spec).await;
        if addresses.is_empty() {
            return Reading::unknown("no server is known here: list them in `nodes` and `regions`");
        }
        let pings = futures::future::join_all(addresses.iter().map(|address| self.ping(address))).await;
        let faults: Vec<_> = pings.into_iter().filter_map(Result::err).collect();
        let (all, up) = (addresses.len(), addresses.len() - faults.len());
        match faults.first() {
            None => Reading::healthy(format!("{up}/{all} answer")),
            // One that refuses lives, whatever the others do.
            Some(fault) if up == 0 => silence(faults.iter().find(|fault| is_refusal(fault)).unwrap_or(fault)),
            Some(fault) => Reading::degraded(format!("{up}/{all} answer; {}", fault.what)),
        }
    }

    /// One server if the probe names it; else those of the probe's region that the config or the Sentinels know.
    async fn pinged(&self, params: &Params, spec: &ProbeSpec) -> Vec<String> {
        if let Some(node) = params.opt_text("node") {
            return vec![self.address(node).to_owned()];
        }
        let here = |address: &String| spec.region.is_none() || self.region(address) == spec.region.as_ref();
        let configured: Vec<_> = self.servers_named().into_iter().filter(|address| here(address)).cloned().collect();
        if !configured.is_empty() {
            return configured;
        }
        self.look().await.addresses(self).into_iter().filter(|address| here(address)).collect()
    }

    async fn ping(&self, address: &str) -> Result<(), Fault> {
        self.client.connect(Peer::Server, address).await?.ask(&["PING"]).await.map(drop)
    }
}

/// Who does not answer is down; who turns Mayday away lives, and tells nothing; and who could not be looked for is not known.
fn silence(fault: &Fault) -> Reading {
    match is_refusal(fault) {
        true => Reading::unknown(format!("refused: {}", fault.what)),
        false => Reading::down(&fault.what),
    }
}

fn sentinels(sight: &Sight) -> Reading {
    let summary = sight.summary();
    if sight.asked == 0 {
        return Reading::unknown("no Sentinel is listed in the config: this probe has nobody to ask");
    }
    if !sight.majority_answers() && sight.refuses() {
        return Reading::unknown(format!("whether a failover would be authorized is not told: {summary}"));
    }
    if !sight.majority_answers() || !sight.authorized() {
        let why = sight.views.iter().find_map(|view| view.authorizes.as_ref().err());
        return Reading::down(match why {
            Some(why) => format!("no failover would be authorized: {why}"),
            None => format!("no majority: {summary}"),
        });
    }
    if sight.failover_runs() {
        return Reading::degraded("a failover is under way");
    }
    if !sight.unanimous() {
        let said = |view: &super::look::View| format!("{} says {} (epoch {})", view.sentinel, view.master, view.epoch);
        return Reading::degraded(sight.views.iter().map(said).collect::<Vec<_>>().join("; "));
    }
    let epoch = sight.newest().map_or(0, |view| view.epoch);
    match sight.silent.is_empty() {
        true => Reading::healthy(format!("{summary} and agree, epoch {epoch}")),
        false => Reading::degraded(summary),
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::View;
    use super::*;
    use crate::domain::health::Status;

    fn view(authorizes: Result<String, String>) -> View {
        View {
            sentinel: "s1:26379".into(),
            id: String::new(),
            others: 2,
            master: "r1:6379".into(),
            master_run_id: String::new(),
            epoch: 1,
            master_down: false,
            master_down_for: Duration::ZERO,
            failover: false,
            down_after: Duration::from_secs(1),
            master_for: Duration::ZERO,
            authorizes,
            replicas: Vec::new(),
        }
    }

    fn sight(answer: usize, refused: usize, silent: usize) -> Sight {
        let fault = |fault: Fault, count| std::iter::repeat_n(("s:26379".to_owned(), fault), count);
        let no = fault(Fault::permanent("cache", "s: NOAUTH"), refused);
        let late = fault(Fault::transient("cache", "s did not let us in within 2 s"), silent);
        let views = std::iter::repeat_n(view(Ok("OK 3 usable".into())), answer).collect();
        Sight { asked: answer + refused + silent, views, silent: no.chain(late).collect() }
    }

    #[test]
    fn sentinels_that_could_not_be_asked_are_not_sentinels_that_are_gone() {
        let rows = [
            ("all answer", sight(3, 0, 0), Status::Healthy, "agree"),
            ("one is silent", sight(2, 0, 1), Status::Degraded, "2 of 3 Sentinels answer"),
            ("a majority is silent", sight(1, 0, 2), Status::Down, "no majority"),
            ("a majority refuses", sight(1, 2, 0), Status::Unknown, "is not told"),
            ("all refuse", sight(0, 3, 0), Status::Unknown, "NOAUTH"),
            ("all are silent", sight(0, 0, 3), Status::Down, "no majority"),
            ("one refuses, the rest agree", sight(2, 1, 0), Status::Degraded, "NOAUTH"),
        ];
        for (what, sight, status, words) in rows {
            let reading = sentinels(&sight);
            assert!(reading.status == status && reading.detail.contains(words), "{what}: {reading:?}");
        }
        let refused = Sight { views: vec![view(Err("NOQUORUM".into())); 3], ..sight(3, 0, 0) };
        assert_eq!(sentinels(&refused).status, Status::Down, "they say themselves that nothing would be authorized");
    }

    #[test]
    fn whoever_refuses_is_unknown_and_whoever_is_silent_is_down() {
        assert_eq!(silence(&Fault::permanent("cache", "r1: NOPERM")).status, Status::Unknown);
        assert!(silence(&Fault::permanent("cache", "r1: NOPERM")).detail.contains("refused"));
        assert_eq!(silence(&Fault::transient("cache", "r1 did not answer")).status, Status::Down);
    }
}
