//! Members, roles, lag and the recovery point.

use std::collections::BTreeMap;

use super::Redis;
use super::client::is_refusal;
use super::look::Sight;
use super::node::{Server, two_writers};
use crate::domain::health::Status;
use crate::domain::recovery::{Member, RecoveryPoint, Role, Survey};
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// What is known of a peer that told nothing: one that refuses lives, as far as anybody knows.
fn unseen(fault: &Fault) -> Status {
    if is_refusal(fault) { Status::Unknown } else { Status::Down }
}

type Servers = BTreeMap<String, Result<Server, Fault>>;

impl Redis {
    /// # Errors
    /// When neither a Sentinel nor a server answers.
    pub async fn survey(&self) -> Result<Survey, Fault> {
        let sight = self.look().await;
        let servers = self.servers(sight.addresses(self)).await;
        if sight.views.is_empty() && servers.values().all(Result::is_err) {
            let means = "roles, lag and the recovery point of this store are unknown";
            let refusal = servers.values().filter_map(|answer| answer.as_ref().err()).find(|fault| is_refusal(fault));
            return Err(
                match refusal.or(sight.silent.iter().map(|(_, fault)| fault).find(|fault| is_refusal(fault))) {
                    Some(fault) => fault.clone().means(means),
                    None => Fault::transient(&self.id, "no Sentinel and no server answers")
                        .means(means)
                        .next("check the network between here and Redis"),
                },
            );
        }
        let writer = self.writer(&sight, &servers);
        let master = writer.as_deref().and_then(|at| servers.get(at)).and_then(|server| server.as_ref().ok());
        let mut members: Vec<Member> =
            servers.iter().map(|(at, server)| self.member(at, server, writer.as_deref(), master)).collect();
        members.extend(self.sentinel_members(&sight));
        let standby_point = self.standby_point(writer.as_deref(), master, &servers);
        let notes = self.notes(&sight, &servers);
        Ok(Survey { members, standby_point, notes })
    }

    /// Whom the Sentinels agree on; failing that the only server that says it is a master, as long as none that lives keeps it from us.
    fn writer(&self, sight: &Sight, servers: &Servers) -> Option<String> {
        if let Some(agreed) = sight.agreed() {
            return Some(agreed.to_owned());
        }
        if servers.values().any(|answer| answer.as_ref().is_err_and(is_refusal)) {
            return None;
        }
        let mut masters = servers.values().flatten().filter(|server| server.master);
        match (masters.next(), masters.next()) {
            (Some(only), None) => Some(only.address.clone()),
            _ => None,
        }
    }

    fn member(
        &self,
        address: &str,
        server: &Result<Server, Fault>,
        writer: Option<&str>,
        master: Option<&Server>,
    ) -> Member {
        let is_writer = writer == Some(address);
        let (role, status, lag, detail) = match server {
            Err(fault) => {
                let role = if is_writer { Role::Writer } else { Role::Unknown };
                (role, unseen(fault), None, fault.what.clone())
            }
            Ok(server) if server.master && is_writer => match server.writes.against() {
                Some(why) => (Role::Writer, Status::Degraded, None, why),
                None => (Role::Writer, Status::Healthy, None, format!("{} replicas", server.followers.len())),
            },
            Ok(server) if server.master => {
                let detail = match self.sentinels.is_empty() {
                    true => "is a master, and not the only one, as far as is known".to_owned(),
                    false => "takes writes, but no majority of Sentinels wants it to".to_owned(),
                };
                (Role::Writer, Status::Degraded, None, detail)
            }
            Ok(server) => {
                let status = if server.link_up { Status::Healthy } else { Status::Degraded };
                (Role::Replica, status, server.lag(master), self.link_words(server))
            }
        };
        let (name, region) = (clean(self.name(address)), self.region(address).cloned());
        Member { name, region, role, status, lag, detail: clean(&detail) }
    }

    fn link_words(&self, server: &Server) -> String {
        let master = server.follows.as_deref().map_or("nobody", |master| self.name(master));
        let priority = server.priority.map_or(String::new(), |priority| format!(", priority {priority}"));
        match (server.link_up, server.link_down_secs) {
            (true, _) => format!("follows {master}{priority}"),
            (false, Some(secs)) => format!("link to {master} down {secs} s{priority}"),
            (false, None) => format!("link to {master} down{priority}"),
        }
    }

    fn sentinel_members(&self, sight: &Sight) -> Vec<Member> {
        let answered = sight.views.iter().map(|view| {
            let detail = format!("Sentinel: master {}, epoch {}", self.name(&view.master), view.epoch);
            (&view.sentinel, Status::Healthy, detail)
        });
        let silent = sight.silent.iter().map(|(at, fault)| (at, unseen(fault), format!("Sentinel: {}", fault.what)));
        let member = |(at, status, detail): (&String, Status, String)| Member {
            name: clean(self.name(at)),
            region: self.region(at).cloned(),
            role: Role::Other,
            status,
            lag: None,
            detail: clean(&detail),
        };
        answered.chain(silent).map(member).collect()
    }

    /// The newest copy outside the writer's region. Without a writer, or with one whose region is not known, no copy is surely
    /// outside of it.
    fn standby_point(&self, writer: Option<&str>, master: Option<&Server>, servers: &Servers) -> Option<RecoveryPoint> {
        let writers_region = self.region(writer?)?;
        let outside = |server: &&Server| self.region(&server.address).is_some_and(|region| region != writers_region);
        let replicas = servers.values().flatten().filter(|server| !server.master).filter(outside);
        replicas.filter_map(|replica| replica.recovery_point(self, master)).max_by_key(|point| point.at)
    }

    fn notes(&self, sight: &Sight, servers: &Servers) -> Vec<String> {
        let mut notes = Vec::new();
        if !sight.silent.is_empty() {
            notes.push(clean(&sight.summary()));
        }
        if let Some(why) = servers.values().flatten().find_map(|server| server.heartbeat_untold.as_ref()) {
            notes.push(clean(&format!("the heartbeat is not told: {why}")));
        }
        let strangers = self.strangers(sight.told());
        if !strangers.is_empty() {
            notes.push(clean(&format!(
                "{} belongs to no region: list it in `nodes` and `regions`",
                strangers.join(", ")
            )));
        }
        if sight.failover_runs() {
            notes.push("a failover is under way".into());
        }
        if let [first, others @ ..] = &self.masters(servers.values())[..]
            && !others.is_empty()
        {
            notes.push(clean(&two_writers(first, others)));
        }
        if let Some(promoted) = sight.newest().and_then(|view| view.would_promote()) {
            notes.push(clean(&format!("a failover would promote {}", self.placed(&promoted.address))));
        }
        notes
    }
}
