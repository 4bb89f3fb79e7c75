//! Members, roles, lag and the recovery point.

use futures::future::join_all;

use super::Neo4j;
use super::look::{DatabaseRow, Sight, is_faceless, own_row};
use crate::domain::health::Status;
use crate::domain::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;

impl Neo4j {
    /// # Errors
    /// When no server answers.
    pub async fn survey(&self) -> Result<Survey, Fault> {
        let sight = self.look().await;
        if sight.views.is_empty() {
            let means = "roles, lag and the recovery point of this store are unknown";
            return Err(sight.silence(&self.id).means(means));
        }
        let leader = sight.leader(self, &self.database).map(|leader| leader.server);
        let members = self.servers.keys().map(|name| self.member(name, &sight, leader.as_deref())).collect();
        let standby_point = self.standby_point(&sight, leader.as_deref()).await;
        let mut notes = Vec::new();
        if leader.is_none() {
            notes.push(match sight.refuses() {
                true => format!("whether anybody leads `{}` is not told", self.database),
                false => format!("nobody leads `{}`: it cannot be written to", self.database),
            });
        }
        let untold =
            sight.views.values().flat_map(|view| view.untold.iter().chain(view.unchecked.iter().map(|it| &it.what)));
        notes.extend(untold.take(3).map(|why| clean(why)));
        if sight.tells_databases() && sight.rows(&self.database).is_empty() {
            let vanished = || format!("`{}` has vanished: no living server hosts it", self.database);
            notes.push(sight.alias(&self.database).unwrap_or_else(vanished));
        }
        if !sight.silent.is_empty() {
            notes.push(clean(&sight.summary()));
        }
        Ok(Survey { members, standby_point, notes })
    }

    fn member(&self, name: &str, sight: &Sight, leader: Option<&str>) -> Member {
        let view = sight.views.get(name);
        let row = view.and_then(|view| own_row(self, name, view, &self.database));
        let faceless = view.is_some_and(|view| is_faceless(self, name, view, &self.database));
        let standing = match sight.known_as(self, name) {
            Some(row) => format!("{}, {}", row.state, row.health),
            None if sight.tells_servers() => "not in the cluster".to_owned(),
            None => "whether it is in a cluster is not told".to_owned(),
        };
        let (role, status, detail) = match (sight.silent.get(name), row) {
            // One that refuses lives, as far as anybody knows.
            (Some(fault), _) if fault.class == FaultClass::Permanent => {
                (Role::Unknown, Status::Unknown, format!("{standing}; refused: {}", fault.what))
            }
            (Some(fault), _) => (Role::Unknown, Status::Down, format!("{standing}; {}", fault.what)),
            (None, _) if leader == Some(name) => (Role::Writer, Status::Healthy, standing),
            (None, None) if faceless => (
                Role::Unknown,
                Status::Unknown,
                format!("{standing}; which copy of `{}` is its own is not told", self.database),
            ),
            (None, None) => (Role::Other, Status::Degraded, format!("{standing}; does not host `{}`", self.database)),
            (None, Some(row)) => {
                let status = if row.current_status == "online" { Status::Healthy } else { Status::Degraded };
                let role = row.role.as_deref().unwrap_or("replica");
                (Role::Replica, status, format!("{role}, {}; {standing}", row.current_status))
            }
        };
        let lag = row.filter(|_| role == Role::Replica && leader.is_some()).and_then(lag);
        Member { name: clean(name), region: self.region(name).cloned(), role, status, lag, detail: clean(&detail) }
    }

    /// Read from the copies outside the leader's region: transactions are no seconds, so a lag in them says nothing here.
    async fn standby_point(&self, sight: &Sight, leader: Option<&str>) -> Option<RecoveryPoint> {
        let writers_region = self.region(leader?)?;
        let outside = |name: &&String| self.region(name).is_some_and(|region| region != writers_region);
        let names: Vec<_> = sight.views.keys().filter(outside).collect();
        let read = |name: &String| {
            let url = self.servers.get(name).cloned().unwrap_or_default();
            async move { self.heartbeat(&url, &self.database).await.ok().flatten() }
        };
        let moments = join_all(names.iter().map(|name| read(name))).await;
        let newest = names.iter().zip(moments).filter_map(|(name, at)| Some((at?, *name))).max_by_key(|(at, _)| *at);
        let (at, name) = newest?;
        let source = clean(&format!("heartbeat on {name}"));
        Some(RecoveryPoint { at, region: self.region(name).cloned(), source, measured: true })
    }
}

/// Neo4j counts downwards from zero.
fn lag(row: &DatabaseRow) -> Option<Lag> {
    row.replication_lag.map(|lag| Lag::Transactions(lag.unsigned_abs()))
}
