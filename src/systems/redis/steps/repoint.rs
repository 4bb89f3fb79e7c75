//! After a promotion by hand nobody tells the other replicas: they go on following a master that is gone, or fenced.

use super::super::Redis;
use super::super::client::{Peer, is_refusal, split};
use super::super::node::Server;
use super::super::writes::Writes;
use crate::domain::system::{Fault, StepLog};

/// The servers besides the promoted one.
pub struct Rest {
    /// They follow another, or nobody, and can be made to follow it.
    pub astray: Vec<Server>,
    /// They call themselves masters and are fenced: they do no harm, and may hold what would be lost if they were made to follow it.
    pub fenced: Vec<Server>,
    /// They call themselves masters, and take writes.
    pub masters: Vec<String>,
    /// They turned Mayday away.
    pub refused: Vec<String>,
}

impl Rest {
    /// The fenced ones, for people; empty without any.
    pub fn aside(&self, redis: &Redis) -> String {
        let names: Vec<_> = self.fenced.iter().map(|server| redis.placed(&server.address)).collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(
                "; {} is fenced and still a master: REPLICAOF makes it follow, and drops what it alone holds",
                names.join(", ")
            ),
        }
    }

    /// What is not as it has to be, if anything.
    pub fn words(&self, redis: &Redis) -> Option<String> {
        let mut words = Vec::new();
        let astray: Vec<_> = self.astray.iter().map(|server| redis.name(&server.address)).collect();
        if !astray.is_empty() {
            words.push(format!("{} does not follow it yet", astray.join(", ")));
        }
        if !self.masters.is_empty() {
            words.push(format!(
                "{} is a master too, and not fenced: what it took would be lost if it followed; redis.fence stops it first",
                self.masters.join(", ")
            ));
        }
        if !self.refused.is_empty() {
            words.push(format!("whom {} follows is not known: it turned Mayday away", self.refused.join(", ")));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Whether it holds the same history of writes: that of one master.
fn is_of(server: &Server, target: &Server) -> bool {
    !server.history.is_empty() && server.history == target.history
}

impl Redis {
    /// Looks at all servers but `target`, which is the master now. Those that are gone are none of its replicas, and no hindrance.
    pub async fn rest_of(&self, target: &Server, addresses: impl Iterator<Item = String>) -> Rest {
        let others = self.servers(addresses.filter(|address| *address != target.address)).await;
        let mut rest = Rest { astray: Vec::new(), fenced: Vec::new(), masters: Vec::new(), refused: Vec::new() };
        for (address, answer) in others {
            match answer {
                Ok(server) if !server.run_id.is_empty() && server.run_id == target.run_id => {}
                Ok(server) if server.master && matches!(server.writes, Writes::Fenced(_)) => rest.fenced.push(server),
                Ok(server) if server.master => rest.masters.push(self.placed(&address)),
                // Where it cannot be told by the address, one history is one master's.
                Ok(server) if server.follows.as_deref() == Some(&target.address) => {}
                Ok(server) if target.master && server.link_up && is_of(&server, target) => {}
                Ok(server) => rest.astray.push(server),
                Err(fault) if is_refusal(&fault) => rest.refused.push(self.placed(&address)),
                Err(_) => {}
            }
        }
        rest
    }

    /// Makes the others follow `target`. One that fails keeps none of the next from being pointed there.
    ///
    /// # Errors
    /// Of the last one that failed.
    pub async fn repoint(&self, target: &str, rest: &Rest, log: &dyn StepLog) -> Result<Vec<String>, Fault> {
        let called = self.called_by_others(target);
        let Some((host, port)) = split(&called) else { return Ok(Vec::new()) };
        let (mut done, mut failed) = (Vec::new(), None);
        for server in &rest.astray {
            log.line(&format!("REPLICAOF {host} {port} at {}", server.address));
            match self.point_at(&server.address, host, port).await {
                Ok(()) => done.push(server.address.clone()),
                Err(fault) => failed = Some(fault),
            }
            // It is a replica now, and may be promoted again one day.
            if matches!(server.writes, Writes::Fenced(_)) && done.contains(&server.address) {
                let _ = self.lift_fence(&server.address, log).await;
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Makes the server at `address` a replica of another.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub async fn point_at(&self, address: &str, host: &str, port: u16) -> Result<(), Fault> {
        let mut link = self.client.connect(Peer::Server, address).await?;
        link.change(&["REPLICAOF", host, &port.to_string()]).await.map(drop)
    }
}
