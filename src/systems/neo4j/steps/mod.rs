//! The steps of Neo4j.

mod leader;
mod recreate;
mod server;
mod start;

use std::sync::Arc;

use super::Neo4j;
use super::client::SYSTEM;
use super::look::Sight;
use super::session::{Query, query};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Fault, Fitness, Guard, Receipt, Step, StepLog};
use crate::domain::text::clean;

pub fn step(neo4j: &Arc<Neo4j>, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    let neo4j = Arc::clone(neo4j);
    let params = &spec.params;
    let region = spec.region.clone().or_else(|| params.opt_text("region").map(RegionId::from));
    let verb = spec.kind.strip_prefix("neo4j.").unwrap_or_default();
    if let Some(verb) = server::VERBS.iter().find(|known| known.name == verb) {
        let server = params.text("server")?.to_owned();
        let hand = neo4j.survivor(region.as_ref(), Some(&server));
        return Ok(Arc::new(server::ServerStep { neo4j, verb, server, hand }));
    }
    let hand = neo4j.survivor(region.as_ref(), None);
    Ok(match verb {
        "leader" => {
            let region = region.map_or_else(|| params.text("region").map(RegionId::from), Ok)?;
            Arc::new(leader::Leads { neo4j, region: Some(region), measures: false, hand })
        }
        "recovery-point" => Arc::new(leader::Leads { neo4j, region, measures: true, hand }),
        "start-databases" => {
            let only = params.list("databases").iter().map(|name| name.to_lowercase()).collect();
            Arc::new(start::Start { neo4j, only, hand })
        }
        "recreate-database" => Arc::new(recreate::Recreate {
            database: params.opt_text("database").unwrap_or(&neo4j.database).to_lowercase(),
            seeding_servers: params.list("seeding_servers"),
            primaries: params.opt_integer("primaries"),
            secondaries: params.opt_integer("secondaries"),
            neo4j,
            hand,
        }),
        _ => return Err(Fault::permanent(&neo4j.id, format!("neo4j has no step `{}`", spec.kind))),
    })
}

impl Neo4j {
    /// Sends one command to the leader of the system database: any other server refuses it.
    async fn administer(&self, query: Query, words: &str, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let sight = self.look().await;
        let leader = sight.system_leader(self).ok_or_else(|| self.no_system(&sight))?;
        log.line(&format!("{words}, at {leader}"));
        self.client.change(&self.servers[&leader], SYSTEM, query).await?;
        Ok(Receipt::from([("command".to_owned(), words.to_owned()), ("server".to_owned(), leader)]))
    }

    /// Whether the user may administer the cluster. Only an administrator surely may; what other roles were granted is theirs to say.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        let sight = self.look().await;
        let leader = sight.system_leader(self).ok_or_else(|| self.no_system(&sight))?;
        let ask = query("SHOW CURRENT USER YIELD user, roles");
        let rows = self.client.ask_one(&self.servers[&leader], SYSTEM, ask).await?;
        let guard = match rows.first().and_then(|row| row.get::<Vec<String>>("roles")) {
            // Community has no roles: whoever is let in may do all that there is.
            None => Guard::warn(
                "access",
                "this Neo4j tells no roles of its user, as Community does: it has no cluster to administer",
            ),
            Some(roles) if roles.iter().any(|role| role == "admin") => {
                Guard::pass("access", "the user of Neo4j is an administrator")
            }
            Some(roles) => Guard::warn(
                "access",
                format!("the user of Neo4j has the roles {}; admin is not among them", clean(&roles.join(", "))),
            ),
        };
        Ok(Fitness { guards: vec![guard] })
    }

    /// When a step needs to know which servers there are, and nobody tells.
    fn no_servers(&self, sight: &Sight) -> String {
        let why = sight.views.values().find_map(|view| view.untold.iter().find(|it| it.starts_with("SHOW SERVERS")));
        let why = why.map_or_else(|| sight.summary(), Clone::clone);
        format!("no server tells which servers there are: {why}")
    }

    fn no_system(&self, sight: &Sight) -> Fault {
        Fault::transient(&self.id, format!("the system database has no writer: {}", sight.summary()))
            .means("the cluster cannot be administered until it has one")
            .next("start the servers that are only stopped; else restore it with neo4j-admin dbms unbind-system-db")
    }

    /// The first part of the disaster procedure: nothing can be administered without it.
    fn system_guard(&self, sight: &Sight) -> Guard {
        match sight.system_leader(self) {
            Some(leader) => Guard::pass("system-database", format!("{} leads it", self.placed(&leader))),
            None => Guard::block("system-database", self.no_system(sight).what),
        }
    }

    /// The server to paste commands for: not the lost one, and one of this region if there is one; which of them leads has to be looked
    /// up first.
    fn survivor(&self, region: Option<&RegionId>, lost: Option<&str>) -> String {
        let left = || self.servers.iter().filter(|(name, _)| Some(name.as_str()) != lost);
        let near = left().find(|(name, _)| region.is_some() && self.region(name) == region);
        near.or_else(|| left().next()).map_or_else(|| "bolt://HOST:7687".to_owned(), |(_, url)| url.clone())
    }

    fn by_hand(&self, at: &str, database: &str, query: &str) -> String {
        self.client.by_hand(at, database, query)
    }

    /// How to find out whom to send administration to.
    fn find_system_by_hand(&self, at: &str) -> [String; 2] {
        let words = "# Who leads the system database (writer = TRUE); send what follows there:".to_owned();
        [words, self.by_hand(at, SYSTEM, "SHOW DATABASE system")]
    }

    fn administer_by_hand(&self, at: &str, command: &str) -> Vec<String> {
        let mut lines = self.find_system_by_hand(at).to_vec();
        lines.push(self.by_hand(at, SYSTEM, command));
        lines
    }
}

/// A text of Cypher.
fn cypher_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
