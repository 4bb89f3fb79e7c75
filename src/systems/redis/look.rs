//! What the Sentinels say, all of them asked at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::Redis;
use super::client::{Link, Peer, fields, is_refusal, items, text};
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// A replica as a Sentinel knows it.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub address: String,
    pub down: bool,
    pub priority: u64,
    pub offset: u64,
    /// How long its link to the master has been down.
    pub link_down: Duration,
    pub run_id: String,
}

/// What one Sentinel says.
#[derive(Clone, Debug)]
pub struct View {
    pub sentinel: String,
    /// Its own run id; empty where it does not say: the same one twice counts once.
    pub id: String,
    /// How many other Sentinels it counts, those that are gone included.
    pub others: usize,
    /// Whom clients that ask it are sent to.
    pub master: String,
    /// The run id of that server; empty where the Sentinel has not learnt it.
    pub master_run_id: String,
    pub epoch: u64,
    /// It cannot reach the master (`s_down`).
    pub master_down: bool,
    pub master_down_for: Duration,
    pub failover: bool,
    pub down_after: Duration,
    /// How long it has known the master as such.
    pub master_for: Duration,
    /// The answer of CKQUORUM.
    pub authorizes: Result<String, String>,
    pub replicas: Vec<Replica>,
}

/// What all Sentinels say.
#[derive(Debug)]
pub struct Sight {
    /// How many Sentinels there are: all of the config, or more where they know of more.
    pub asked: usize,
    pub views: Vec<View>,
    /// Who did not answer, and why.
    pub silent: Vec<(String, Fault)>,
}

impl Sight {
    pub fn majority(&self) -> usize {
        self.asked / 2 + 1
    }

    /// Whether enough Sentinels answer for anything to be believed.
    pub fn majority_answers(&self) -> bool {
        self.views.len() >= self.majority()
    }

    /// The address that a majority of all Sentinels names. Nothing less is believed.
    pub fn agreed(&self) -> Option<&str> {
        let votes = self.votes();
        let (address, count) = votes.iter().max_by_key(|(_, count)| **count)?;
        (*count >= self.majority()).then_some(*address)
    }

    fn votes(&self) -> BTreeMap<&str, usize> {
        let mut votes = BTreeMap::new();
        for view in &self.views {
            *votes.entry(view.master.as_str()).or_insert(0) += 1;
        }
        votes
    }

    /// The view of the newest configuration.
    pub fn newest(&self) -> Option<&View> {
        self.views.iter().max_by_key(|view| view.epoch)
    }

    /// Whether all that answer name the same master in the same epoch.
    pub fn unanimous(&self) -> bool {
        let said: BTreeSet<_> = self.views.iter().map(|view| (&view.master, view.epoch)).collect();
        said.len() == 1
    }

    pub fn failover_runs(&self) -> bool {
        self.views.iter().any(|view| view.failover)
    }

    /// Whether a majority of all Sentinels finds that a failover would be authorized.
    pub fn authorized(&self) -> bool {
        self.views.iter().filter(|view| view.authorizes.is_ok()).count() >= self.majority()
    }

    /// Whether a Sentinel could not be heard because it refused: it lives, and what it knows is not told.
    pub fn refuses(&self) -> bool {
        self.silent.iter().any(|(_, fault)| is_refusal(fault))
    }

    /// Everything that any Sentinel knows as a server, and what the config names.
    pub fn addresses(&self, redis: &Redis) -> BTreeSet<String> {
        self.told().chain(redis.servers_named()).cloned().collect()
    }

    /// Every server that any Sentinel knows.
    pub fn told(&self) -> impl Iterator<Item = &String> {
        self.views
            .iter()
            .flat_map(|view| std::iter::once(&view.master).chain(view.replicas.iter().map(|replica| &replica.address)))
    }

    /// What to do about those that do not answer: as the first says that knows.
    pub fn advice(&self) -> &str {
        let told = self.silent.iter().map(|(_, fault)| fault.next.as_str()).find(|next| !next.is_empty());
        told.unwrap_or("check the network to the Sentinels, then retry")
    }

    /// `2 of 3 Sentinels answer; 10.0.0.1:26379 did not let us in within 2 s`
    pub fn summary(&self) -> String {
        if self.asked == 0 {
            return "there are no Sentinels".into();
        }
        let mut words = format!("{} of {} Sentinels answer", self.views.len(), self.asked);
        for (_, fault) in &self.silent {
            words += &format!("; {}", fault.what);
        }
        words
    }
}

impl View {
    /// Every server that this Sentinel knows, with its run id.
    pub fn told(&self) -> impl Iterator<Item = (String, String)> {
        let replicas = self.replicas.iter().map(|replica| (replica.address.clone(), replica.run_id.clone()));
        std::iter::once((self.master.clone(), self.master_run_id.clone())).chain(replicas)
    }

    /// Calls every server as `name` does. A Sentinel remembers a server by each address that it ever had: of two that are one, the one
    /// that it reaches counts, and the master is none of its own replicas.
    pub fn call(&mut self, name: impl Fn(&str) -> String) {
        self.master = name(&self.master);
        let mut known: Vec<Replica> = Vec::new();
        for mut replica in std::mem::take(&mut self.replicas) {
            replica.address = name(&replica.address);
            match known.iter_mut().find(|other| other.address == replica.address) {
                Some(other) if other.down => *other = replica,
                Some(_) => {}
                None if replica.address == self.master && replica.run_id == self.master_run_id => {}
                None => known.push(replica),
            }
        }
        self.replicas = known;
    }

    /// Whom this Sentinel would promote: not down, not of priority 0, its link not down for longer than ten times down-after
    /// (plus the time the master has been down); the lowest priority, then the largest offset, then the smallest run id.
    /// `sentinelSelectSlave` in Redis 7.0's `sentinel.c`.
    pub fn would_promote(&self) -> Option<&Replica> {
        let rank = |replica: &&Replica| (replica.priority, u64::MAX - replica.offset, replica.run_id.clone());
        self.replicas.iter().filter(|replica| self.eligible(replica)).min_by_key(rank)
    }

    pub fn eligible(&self, replica: &Replica) -> bool {
        let patience = self.down_after * 10 + self.master_down_for;
        !replica.down && replica.priority > 0 && replica.link_down <= patience
    }
}

impl Redis {
    /// Asks every Sentinel.
    pub async fn look(&self) -> Sight {
        self.look_within(Duration::MAX).await
    }

    /// The same, for one that has not much time: who has not answered by then is silent.
    pub fn look_within(&self, patience: Duration) -> BoxFuture<'_, Sight> {
        Box::pin(async move {
            let begun = Instant::now();
            let view = async |sentinel: &String| self.within(patience, sentinel, self.view(sentinel)).await;
            let answers = join_all(self.sentinels.iter().map(view)).await;
            let (mut views, mut silent, mut twins) = (Vec::<View>::new(), Vec::new(), 0);
            for (sentinel, answer) in self.sentinels.iter().zip(answers) {
                match answer {
                    Ok(view) if !view.id.is_empty() && views.iter().any(|other| other.id == view.id) => twins += 1,
                    Ok(view) => views.push(view),
                    Err(fault) => silent.push((sentinel.clone(), fault)),
                }
            }
            self.recognise(&mut views, patience.saturating_sub(begun.elapsed())).await;
            let known = views.iter().map(|view| view.others + 1).max().unwrap_or_default();
            Sight { asked: known.max(self.sentinels.len() - twins), views, silent }
        })
    }

    /// What the Sentinel at `address` says.
    pub fn view<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<View, Fault>> {
        Box::pin(async move {
            let mut link = self.client.connect(Peer::Sentinel, address).await?;
            let name = self.master_name.as_str();
            let entry = fields(&link.ask(&["SENTINEL", "MASTER", name]).await?);
            let serving = link.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).await?;
            let replicas = link.ask(&["SENTINEL", "REPLICAS", name]).await?;
            // From 6.2 on; without it, only addresses tell Sentinels apart.
            let id = link.ask(&["SENTINEL", "MYID"]).await.ok().and_then(|id| text(&id)).unwrap_or_default();
            let number = |key: &str| -> u64 { entry.get(key).and_then(|text| text.parse().ok()).unwrap_or_default() };
            let flags = entry.get("flags").cloned().unwrap_or_default();
            let [host, port] = items(&serving) else {
                return Err(Fault::permanent(&self.id, format!("{address} names no master for `{}`", clean(name))));
            };
            let master = join(text(host), text(port));
            let replicas: Vec<Replica> = items(&replicas).iter().map(replica).collect();
            // While a failover runs clients are sent to the replica that was promoted already.
            let is_entry = join(entry.get("ip").cloned(), entry.get("port").cloned()) == master;
            let promoted =
                replicas.iter().find(|replica| replica.address == master).map(|replica| replica.run_id.clone());
            let master_run_id = if is_entry { entry.get("runid").cloned() } else { promoted };
            Ok(View {
                sentinel: address.to_owned(),
                id,
                others: usize::try_from(number("num-other-sentinels")).unwrap_or_default(),
                master,
                master_run_id: master_run_id.unwrap_or_default(),
                epoch: number("config-epoch"),
                master_down: has(&flags, "s_down") || has(&flags, "o_down"),
                master_down_for: Duration::from_millis(number("s-down-time")),
                failover: has(&flags, "failover_in_progress"),
                down_after: Duration::from_millis(number("down-after-milliseconds")),
                master_for: Duration::from_millis(number("role-reported-time")),
                authorizes: self.authorizes(&mut link).await?,
                replicas,
            })
        })
    }

    /// What the peer at `address` answers, if it does so in time.
    pub async fn within<T>(
        &self,
        patience: Duration,
        address: &str,
        asked: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let late =
            |_| Fault::transient(&self.id, format!("{address} did not answer within {:.1} s", patience.as_secs_f64()));
        timeout(patience, asked).await.map_err(late)?
    }

    async fn authorizes(&self, link: &mut Link) -> Result<Result<String, String>, Fault> {
        match link.ask(&["SENTINEL", "CKQUORUM", &self.master_name]).await {
            Ok(answer) => Ok(Ok(clean(&text(&answer).unwrap_or_default()))),
            Err(fault) if fault.what.contains("NOQUORUM") => Ok(Err(fault.what)),
            Err(fault) => Err(fault),
        }
    }
}

fn has(flags: &str, flag: &str) -> bool {
    flags.split(',').any(|it| it == flag)
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: Option<String>, port: Option<String>) -> String {
    let (host, port) = (clean(&host.unwrap_or_default()), clean(&port.unwrap_or_default()));
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn replica(entry: &redis::Value) -> Replica {
    let entry = fields(entry);
    let get = |key: &str| entry.get(key).cloned();
    let number = |key: &str| entry.get(key).and_then(|text| text.parse().ok());
    let flags = get("flags").unwrap_or_default();
    Replica {
        address: join(get("ip"), get("port")),
        down: ["s_down", "o_down", "disconnected"].iter().any(|flag| has(&flags, flag)),
        priority: number("slave-priority").unwrap_or(0),
        offset: number("slave-repl-offset").unwrap_or(0),
        // Not told is not short: who is cut off for nobody knows how long is not fit.
        link_down: number("master-link-down-time").map_or(Duration::MAX, Duration::from_millis),
        run_id: get("runid").unwrap_or_default(),
    }
}
