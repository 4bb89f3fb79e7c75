//! What all regions say, asked at once, and what the servers themselves say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout};

use super::api::{Endpoint, Told};
use super::{ElastiCache, Group};
use crate::domain::health::Status;
use crate::domain::ids::RegionId;
use crate::domain::recovery::{Member, RecoveryPoint, Role, Survey};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::aws::told as told_of;
use crate::systems::redis::client::{Link, Peer, text};
use crate::systems::redis::node::{heartbeat, lines};
use crate::systems::redis::writes::{self, Writes};

/// What the regions' APIs say, by the group that each is of.
pub struct Sight {
    pub told: BTreeMap<String, Told>,
    pub silent: BTreeMap<String, Fault>,
}

impl Sight {
    /// Who takes writes, as all regions that answer say.
    ///
    /// # Errors
    /// Why that is not known, in words.
    pub fn primary(&self) -> Result<&str, String> {
        let named: BTreeSet<Option<&str>> = self.told.values().map(Told::primary).collect();
        match named.iter().collect::<Vec<_>>()[..] {
            [Some(group)] => Ok(*group),
            [] => Err(format!("no region's API says who the primary is: {}", self.summary())),
            [None] => Err("the API names no single primary".into()),
            _ => Err("the regions name different primaries".into()),
        }
    }

    /// Whether a failover would be taken: all that answer call the datastore available.
    pub fn is_available(&self) -> bool {
        !self.told.is_empty() && self.told.values().all(Told::is_available)
    }

    /// The worst word for the datastore.
    pub fn status(&self) -> &str {
        let other = self.told.values().find(|told| !told.is_available());
        other.or(self.told.values().next()).map_or("not told", |told| told.status.as_str())
    }

    /// `1 of 2 regions' APIs answer; DescribeGlobalReplicationGroups was not answered within 5 s`
    pub fn summary(&self) -> String {
        let mut words = format!("{} of {} regions' APIs answer", self.told.len(), self.told.len() + self.silent.len());
        for fault in self.silent.values() {
            words += &format!("; {}", told_of(fault));
        }
        words
    }

    /// Why nothing is known, where no region answers.
    pub fn nobody(&self, system: &str) -> Fault {
        let next = self.silent.values().map(|fault| fault.next.as_str()).find(|next| !next.is_empty());
        Fault::transient(system, self.summary())
            .means("who the primary is cannot be told")
            .next(next.unwrap_or_default())
    }
}

/// What a group's own server says.
pub struct Served {
    pub writes: Writes,
    pub heartbeat: Option<At>,
    /// Why the heartbeat is not known.
    pub untold: Option<String>,
    pub took: Duration,
}

impl ElastiCache {
    /// Asks the API of every region.
    pub fn look(&self) -> BoxFuture<'_, Sight> {
        self.look_within(Duration::MAX)
    }

    /// The same, for one that has not much time: who has not answered by then is silent.
    pub fn look_within(&self, patience: Duration) -> BoxFuture<'_, Sight> {
        Box::pin(async move {
            let late = |region: &RegionId| {
                let what = format!("the API of {region} did not answer within {:.1} s", patience.as_secs_f64());
                Err(Fault::transient(&self.id, what))
            };
            let ask = async |group: &Group| {
                let asked = group.datastore(&self.datastore, &self.id);
                timeout(patience, asked).await.unwrap_or_else(|_| late(&group.region))
            };
            let asked = self.groups.values().map(ask);
            let (mut told, mut silent) = (BTreeMap::new(), BTreeMap::new());
            for (name, answer) in self.groups.keys().zip(join_all(asked).await) {
                match answer {
                    Ok(it) => drop(told.insert(name.clone(), it)),
                    Err(fault) => drop(silent.insert(name.clone(), fault)),
                }
            }
            Sight { told, silent }
        })
    }

    /// Where a group takes connections.
    ///
    /// # Errors
    /// When the API has to be asked and never said: that tells nothing of the servers, so it is permanent.
    pub async fn endpoint(&self, group: &str) -> Result<Endpoint, Fault> {
        let Some(it) = self.groups.get(group) else {
            return Err(Fault::permanent(&self.id, format!("`{}` is in no region of the config", clean(group)))
                .next("name it in `regions`"));
        };
        let known = || self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        match it.endpoint(group, &self.id).await {
            Ok(endpoint) => {
                known().insert(group.to_owned(), endpoint.clone());
                Ok(endpoint)
            }
            // It does not move, and the API that said so may be gone with its region.
            Err(fault) => {
                let last = known().get(group).cloned();
                last.ok_or(Fault { class: FaultClass::Permanent, ..fault })
            }
        }
    }

    /// A connection to the primary node of a group.
    ///
    /// # Errors
    /// When there is none; permanent where the group has many, one a shard.
    pub async fn link(&self, group: &str) -> Result<Link, Fault> {
        match self.endpoint(group).await? {
            Endpoint::Node(address) => self.client.connect(Peer::Server, &address).await,
            Endpoint::Cluster(address) => Err(Fault::permanent(
                &self.id,
                format!("{address} has shards (cluster mode): a key belongs to one of them"),
            )
            .means("no write is tried there, and no heartbeat read")),
        }
    }

    /// What the primary node of a group says.
    ///
    /// # Errors
    /// When it does not answer, or turns Mayday away.
    pub fn server<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<Served, Fault>> {
        Box::pin(async move {
            let mut link = self.link(group).await?;
            let begun = Instant::now();
            let info = text(&link.ask(&["INFO"]).await?).unwrap_or_default();
            let took = begun.elapsed();
            let (at, untold) = match &self.heartbeat_key {
                Some(key) => heartbeat(&mut link, key).await?,
                None => (None, Some("no `heartbeat_key` is set".into())),
            };
            let writes = writes::tried(&mut link, writes::NOTHING, &lines(&info)).await;
            Ok(Served { writes, heartbeat: at, untold, took })
        })
    }

    /// The same, for one that has not much time.
    ///
    /// # Errors
    /// As [`server`](Self::server), or when it takes too long.
    pub async fn server_within(&self, group: &str, patience: Duration) -> Result<Served, Fault> {
        let late =
            |_| Fault::transient(&self.id, format!("{group} did not answer within {:.1} s", patience.as_secs_f64()));
        timeout(patience, self.server(group)).await.map_err(late)?
    }

    /// How new the copy of a group is, by its heartbeat.
    pub async fn point(&self, group: &str) -> Option<RecoveryPoint> {
        let at = self.server(group).await.ok()?.heartbeat?;
        let source = clean(&format!("heartbeat on {group}"));
        Some(RecoveryPoint { at, region: self.region(group).cloned(), source, measured: true })
    }

    /// The newest copy outside a region.
    async fn newest_outside(&self, region: &RegionId) -> Option<RecoveryPoint> {
        let outside = self.groups.iter().filter(|(_, group)| group.region != *region).map(|(name, _)| self.point(name));
        join_all(outside).await.into_iter().flatten().max_by_key(|point| point.at)
    }

    /// # Errors
    /// When no region's API answers.
    pub async fn survey(&self) -> Result<Survey, Fault> {
        let sight = self.look().await;
        let primary = match sight.primary() {
            _ if sight.told.is_empty() => return Err(sight.nobody(&self.id)),
            Ok(group) => Ok(group.to_owned()),
            Err(why) => Err(why),
        };
        let writer = primary.as_deref().ok();
        let servers = join_all(self.groups.keys().map(|group| self.server(group))).await;
        let members =
            self.groups.keys().zip(&servers).map(|(group, server)| self.member(group, &sight, server, writer));
        let members = members.collect();
        let mut notes: Vec<String> = primary.as_ref().err().cloned().into_iter().collect();
        if !sight.silent.is_empty() {
            notes.push(clean(&sight.summary()));
        }
        if !sight.is_available() {
            notes.push(clean(&format!("the Global Datastore is `{}`: it takes no failover now", sight.status())));
        }
        let strangers = sight.told.values().flat_map(|told| &told.members).map(|member| &member.group);
        let strangers: BTreeSet<&String> = strangers.filter(|group| !self.groups.contains_key(*group)).collect();
        notes.extend(
            strangers.into_iter().map(|group| clean(&format!("`{group}` is a member, and is not in `regions`"))),
        );
        if let Some(why) = servers.iter().flatten().find_map(|server| server.untold.as_ref()) {
            notes.push(clean(&format!("how new the copies are is not told: {why}")));
        }
        let standby_point = match writer.and_then(|group| self.region(group)) {
            Some(region) => self.newest_outside(region).await,
            None => None,
        };
        Ok(Survey { members, standby_point, notes })
    }

    fn member(&self, group: &str, sight: &Sight, server: &Result<Served, Fault>, writer: Option<&str>) -> Member {
        let standing = sight.told.values().find_map(|told| told.member(group));
        let role = match (writer, standing) {
            (Some(writer), _) if writer == group => Role::Writer,
            (Some(_), Some(_)) => Role::Replica,
            _ => Role::Unknown,
        };
        let said = match (standing, sight.told.is_empty()) {
            (Some(member), _) => member.status.clone(),
            (None, true) => "what the API says of it is not told".into(),
            (None, false) => "no member of the Global Datastore".into(),
        };
        let (status, words) = match server {
            Ok(server) => match (role, server.writes.against()) {
                (Role::Writer, Some(why)) => (Status::Degraded, why),
                (Role::Replica, None) if server.writes == Writes::Takes => {
                    (Status::Degraded, "takes writes, too".into())
                }
                _ if standing.is_some_and(|member| !member.is_associated()) => (Status::Degraded, "answers".into()),
                _ => (Status::Healthy, "answers".into()),
            },
            Err(fault) if super::super::client::is_refusal(fault) => (Status::Unknown, fault.what.clone()),
            Err(fault) => (Status::Down, fault.what.clone()),
        };
        let (name, region) = (clean(group), self.region(group).cloned());
        Member { name, region, role, status, lag: None, detail: clean(&format!("{said}; {words}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::Member as Of;
    use super::*;

    fn told(primary: &str, status: &str) -> Told {
        let member = |group: &str| Of { group: group.into(), primary: group == primary, status: "associated".into() };
        Told { status: status.into(), members: vec![member("east"), member("west")] }
    }

    #[test]
    fn who_is_silent_does_not_agree_and_who_differs_is_told() {
        let silent = || BTreeMap::from([("east".to_owned(), Fault::transient("cache", "no answer"))]);
        let of = |east: Option<Told>, west: Option<Told>| {
            let all = [("east", east), ("west", west)];
            let told: BTreeMap<String, Told> =
                all.into_iter().filter_map(|(name, told)| Some((name.to_owned(), told?))).collect();
            Sight { silent: if told.contains_key("east") { BTreeMap::new() } else { silent() }, told }
        };
        let both = of(Some(told("east", "available")), Some(told("east", "available")));
        assert!(both.primary() == Ok("east") && both.is_available());
        let one = of(None, Some(told("east", "available")));
        assert!(one.primary() == Ok("east") && one.summary().contains("1 of 2"), "{}", one.summary());
        let split = of(Some(told("east", "available")), Some(told("west", "modifying")));
        assert!(split.primary().unwrap_err().contains("different") && !split.is_available());
        assert_eq!(split.status(), "modifying");
        assert!(of(None, None).primary().is_err() && !of(None, None).is_available());
        assert!(of(None, Some(told("nobody", "available"))).primary().unwrap_err().contains("no single primary"));
    }
}
