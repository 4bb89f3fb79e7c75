//! What one server says of itself: its role, its link, its replicas, and how new its data is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::future::join_all;
use tokio::time::Instant;

use super::Redis;
use super::client::{Link, Peer, Refusal, fields, text};
use super::look::join;
use super::writes::{self, Writes};
use crate::domain::recovery::{Lag, RecoveryPoint};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::{At, before};
use crate::systems::dated::written;

/// What Redis takes for `repl-timeout` unless it is told otherwise.
const REPL_TIMEOUT: u64 = 60;

/// A replica as its master sees it.
#[derive(Clone, Debug)]
pub struct Follower {
    pub offset: u64,
    /// Whole seconds since it last acknowledged, rounded down by Redis.
    pub lag: Option<u64>,
}

/// One server's answer.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: String,
    pub master: bool,
    /// Whom it follows.
    pub follows: Option<String>,
    pub link_up: bool,
    pub link_down_secs: Option<u64>,
    /// Since the master was last heard of; `None` once the link is down.
    pub last_io_secs: Option<u64>,
    pub priority: Option<u64>,
    /// `None` when it does not say: an offset that is not known is not the same as another's.
    pub offset: Option<u64>,
    /// By address, on a master.
    pub followers: BTreeMap<String, Follower>,
    /// What the application last wrote here.
    pub heartbeat: Option<At>,
    /// Why the heartbeat could not be read, although somebody answers: what is not told of it says nothing of the server.
    pub heartbeat_untold: Option<String>,
    /// Which process it is; empty where it does not say.
    pub run_id: String,
    /// Which history of writes it holds: that of its master.
    pub history: String,
    /// What it would do with a write.
    pub writes: Writes,
    /// How long a dead link can go unnoticed.
    pub repl_timeout: u64,
    pub took: Duration,
    pub now: At,
}

impl Redis {
    /// Asks every one of `addresses` at once.
    pub async fn servers(
        &self,
        addresses: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, Result<Server, Fault>> {
        self.servers_within(Duration::MAX, addresses).await
    }

    /// The same, for one that has not much time.
    pub async fn servers_within(
        &self,
        patience: Duration,
        addresses: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, Result<Server, Fault>> {
        let ask = |address: String| async move {
            let answer = self.within(patience, &address, self.server(&address)).await;
            (address, answer)
        };
        let mut found: BTreeMap<_, _> = join_all(addresses.into_iter().map(ask)).await.into_iter().collect();
        self.drop_twins(&mut found);
        found
    }

    /// One process that was reached by two addresses is one server: by the address of the config, if that is one of them.
    fn drop_twins(&self, found: &mut BTreeMap<String, Result<Server, Fault>>) {
        let mut order: Vec<(bool, String, String)> = found
            .iter()
            .filter_map(|(address, answer)| Some((address, answer.as_ref().ok()?)))
            .filter(|(_, server)| !server.run_id.is_empty())
            .map(|(address, server)| (!self.is_named(address), address.clone(), server.run_id.clone()))
            .collect();
        order.sort();
        let mut seen = BTreeSet::new();
        for (_, address, run_id) in order {
            if !seen.insert(run_id) {
                found.remove(&address);
            }
        }
    }

    /// Those that say that they are masters.
    pub fn masters<'a>(&self, servers: impl Iterator<Item = &'a Result<Server, Fault>>) -> Vec<String> {
        servers.flatten().filter(|server| server.master).map(|server| self.placed(&server.address)).collect()
    }

    pub fn server<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Server, Fault>> {
        Box::pin(async move {
            let mut link = self.client.connect(Peer::Server, address).await?;
            let asked = Instant::now();
            let info = text(&link.ask(&["INFO"]).await?).unwrap_or_default();
            let took = asked.elapsed();
            let lines = lines(&info);
            let number = |key: &str| lines.get(key).and_then(|text| text.parse::<u64>().ok());
            let said = |key: &str| lines.get(key).map(|text| clean(text)).unwrap_or_default();
            let Some(role) = lines.get("role") else {
                return Err(Fault::transient(&self.id, format!("{address} does not say what role it plays")));
            };
            let master = match *role {
                "master" => true,
                "slave" => false,
                // KeyDB's active replicas follow a master and take writes; who counts them as either counts wrong.
                other => return Err(self.stranger(address, other)),
            };
            let (heartbeat, heartbeat_untold) = match &self.heartbeat_key {
                Some(key) => heartbeat(&mut link, key).await?,
                None => (None, None),
            };
            let follows = match lines.contains_key("master_host") {
                true => Some(self.found_as(&join(Some(said("master_host")), Some(said("master_port")))).await),
                false => None,
            };
            let mut followers = BTreeMap::new();
            for (raw, follower) in lines.iter().filter_map(|(key, value)| follower(key, value)) {
                followers.insert(self.found_as(&raw).await, follower);
            }
            self.met(address, &said("run_id"));
            Ok(Server {
                address: address.to_owned(),
                master,
                follows,
                link_up: lines.get("master_link_status") == Some(&"up"),
                link_down_secs: number("master_link_down_since_seconds"),
                last_io_secs: number("master_last_io_seconds_ago"),
                priority: number("slave_priority"),
                offset: number("slave_repl_offset").or_else(|| number("master_repl_offset")),
                followers,
                heartbeat,
                heartbeat_untold,
                run_id: said("run_id"),
                history: said("master_replid"),
                writes: if master { writes::tried(&mut link, writes::NOTHING, &lines).await } else { Writes::Follows },
                repl_timeout: repl_timeout(&mut link).await,
                took,
                now: At::now(),
            })
        })
    }
}

impl Redis {
    /// Of one that answers, and is nothing that Redis knows.
    fn stranger(&self, address: &str, role: &str) -> Fault {
        let what = format!("{address} plays the role `{}`, which is none of Redis or Valkey", clean(role));
        Fault::permanent(&self.id, what)
            .means("whether it takes writes is not known")
            .next("watch it by `tcp.connect`, and move it by a step of kind script.run")
    }
}

/// The lines of INFO, by their keys.
pub fn lines(info: &str) -> BTreeMap<&str, &str> {
    info.lines().filter_map(|line| line.trim_end().split_once(':')).collect()
}

/// For people: that a master is not the only one.
pub fn two_writers(master: &str, others: &[String]) -> String {
    format!("{} masters take writes: {master} and {}", others.len() + 1, others.join(" and "))
}

/// `slave0` → `ip=10.0.0.2,port=6379,state=online,offset=123,lag=0`
fn follower(key: &str, value: &str) -> Option<(String, Follower)> {
    key.strip_prefix("slave")?.parse::<u32>().ok()?;
    let parts: BTreeMap<&str, &str> = value.split(',').filter_map(|part| part.split_once('=')).collect();
    let own = |key: &str| parts.get(key).map(|text| (*text).to_owned());
    let online = parts.get("state") == Some(&"online");
    let lag = parts.get("lag").filter(|_| online).and_then(|lag| lag.parse().ok());
    Some((join(own("ip"), own("port")), Follower { offset: parts.get("offset")?.parse().ok()?, lag }))
}

/// The moment under `key`; `None` if there is none that can be read. Beside it why the
/// server did not tell it, if it answered so: the user may not read the key, the data are still loaded, a replica serves nothing stale.
pub async fn heartbeat(link: &mut Link, key: &str) -> Result<(Option<At>, Option<String>), Fault> {
    match link.tell(&["GET", key]).await {
        Ok(value) => Ok((text(&value).and_then(|value| written(&value)), None)),
        Err(Refusal { code: Some(_), fault }) => Ok((None, Some(fault.what))),
        Err(refusal) => Err(refusal.fault),
    }
}

/// Managed servers forbid CONFIG; then the default is as good a guess as any, and a careful one.
async fn repl_timeout(link: &mut Link) -> u64 {
    let answer = link.ask(&["CONFIG", "GET", "repl-timeout"]).await;
    answer.ok().and_then(|value| fields(&value).get("repl-timeout")?.parse().ok()).unwrap_or(REPL_TIMEOUT)
}

impl Server {
    /// How far this replica is behind, in the best unit there is: seconds if anybody knows them, else bytes.
    pub fn lag(&self, master: Option<&Server>) -> Option<Lag> {
        if self.master {
            return None;
        }
        let follower = master.and_then(|master| master.followers.get(&self.address));
        let secs = self.link_down_secs.or_else(|| follower?.lag).or(self.last_io_secs);
        let bytes = || Some(Lag::Bytes(master?.offset?.saturating_sub(follower?.offset)));
        secs.map(|secs| Lag::Seconds(secs as f64)).or_else(bytes)
    }

    /// The newest moment this copy surely holds. Read from the copy if there is a heartbeat; else derived from seconds, never from
    /// bytes, and on the careful side: Redis rounds a lag down, and a link can be dead for `repl-timeout` before it is given up.
    pub fn recovery_point(&self, redis: &Redis, master: Option<&Server>) -> Option<RecoveryPoint> {
        let region = redis.region(&self.address).cloned();
        let name = redis.name(&self.address);
        if let Some(at) = self.heartbeat {
            return Some(RecoveryPoint { at, region, source: format!("heartbeat on {}", clean(name)), measured: true });
        }
        let follower = master.and_then(|master| master.followers.get(&self.address));
        let acknowledged = follower.filter(|_| self.link_up).and_then(|follower| follower.lag);
        let (secs, source) = match (self.link_down_secs, acknowledged, self.last_io_secs.filter(|_| self.link_up)) {
            (Some(down), _, _) => (
                down + self.repl_timeout,
                format!("link of {name} down for {down} s, and {} s to notice", self.repl_timeout),
            ),
            (None, Some(lag), _) => (lag + 1, format!("{name} acknowledged {lag} s ago")),
            (None, None, Some(heard)) => (heard + 1, format!("{name} heard of its master {heard} s ago")),
            (None, None, None) => return None,
        };
        let at = before(self.now, Duration::from_secs(secs));
        Some(RecoveryPoint { at, region, source: clean(&source), measured: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_replica_is_read_as_redis_writes_it() {
        let (address, follower) = follower("slave0", "ip=10.0.0.2,port=6380,state=online,offset=42,lag=1").unwrap();
        assert_eq!((address.as_str(), follower.offset, follower.lag), ("10.0.0.2:6380", 42, Some(1)));
        // A replica that takes its first copy acknowledges nothing yet: its lag of 0 means unknown.
        let (_, syncing) = super::follower("slave1", "ip=::1,port=1,state=wait_bgsave,offset=0,lag=0").unwrap();
        assert_eq!(syncing.lag, None);
        assert!(super::follower("slave_priority", "100").is_none());
    }

    fn server(address: &str, offset: Option<u64>) -> Server {
        Server {
            address: address.into(),
            master: false,
            follows: None,
            link_up: true,
            link_down_secs: None,
            last_io_secs: None,
            priority: None,
            offset,
            followers: BTreeMap::new(),
            heartbeat: None,
            heartbeat_untold: None,
            run_id: String::new(),
            history: String::new(),
            writes: Writes::Follows,
            repl_timeout: REPL_TIMEOUT,
            took: Duration::ZERO,
            now: At::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_lag_that_nobody_tells_is_not_zero() {
        let replica = server("r2:6379", Some(5));
        let master = |offset, follower: Option<Follower>| Server {
            master: true,
            followers: follower.into_iter().map(|it| ("r2:6379".to_owned(), it)).collect(),
            ..server("r1:6379", offset)
        };
        let at = |offset, lag| Some(Follower { offset, lag });
        let rows = [
            ("seconds are known", Some(master(Some(9), at(5, Some(1)))), Some(Lag::Seconds(1.0))),
            ("bytes are", Some(master(Some(9), at(5, None))), Some(Lag::Bytes(4))),
            ("it is level", Some(master(Some(5), at(5, None))), Some(Lag::Bytes(0))),
            ("the master does not say how far it is", Some(master(None, at(5, None))), None),
            ("the master does not know it", Some(master(Some(9), None)), None),
            ("nobody is the master", None, None),
        ];
        for (what, master, wanted) in rows {
            assert_eq!(replica.lag(master.as_ref()), wanted, "{what}");
        }
        let heard = Server { last_io_secs: Some(3), ..replica };
        assert_eq!(heard.lag(None), Some(Lag::Seconds(3.0)), "what it heard itself counts without the master");
    }
}
