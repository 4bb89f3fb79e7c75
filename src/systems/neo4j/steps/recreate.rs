//! `neo4j.recreate-database`: a database that lost its majority is built again from the stores of survivors. What only the lost servers
//! held is gone for good, so the store that is used has to be the newest of those that are left.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Neo4j;
use super::super::client::SYSTEM;
use super::super::look::{DatabaseRow, Sight};
use super::super::session::{Query, query};
use super::cypher_text;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{
    Begun, Checked, Fault, FaultClass, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step,
    StepLog, Verified,
};
use crate::domain::text::clean;

/// The procedure moved with this version.
const RENAMED_IN: (u32, u32) = (2025, 4);
const NEW_NAME: &str = "dbms.recreateDatabase";
const OLD_NAME: &str = "dbms.cluster.recreateDatabase";

pub struct Recreate {
    pub neo4j: Arc<Neo4j>,
    pub database: String,
    pub seeding_servers: Vec<String>,
    pub primaries: Option<u64>,
    pub secondaries: Option<u64>,
    /// Where the commands go that an engineer pastes.
    pub hand: String,
}

#[async_trait]
impl Step for Recreate {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let sight = self.look().await?;
        if let Some(leader) = sight.leader(&self.neo4j, &self.database) {
            let place = self.neo4j.placed(&leader.server);
            return Ok(Observed::Done { detail: format!("{place} writes `{}`", self.database) });
        }
        if !sight.tells_databases() || self.is_untold(&sight) {
            let why = format!("whether anybody writes `{}` is not told: {}", self.database, sight.summary());
            return Ok(Observed::Unknowable { why });
        }
        let rows = sight.rows(&self.database);
        if rows.is_empty() {
            let vanished =
                || format!("`{}` has vanished: no living server holds a store of it; restore a backup", self.database);
            return Ok(Observed::Impossible { why: sight.alias(&self.database).unwrap_or_else(vanished) });
        }
        let starting = rows.iter().any(|row| row.requested_status == "online" && row.current_status != "online");
        Ok(match begun.is_some() && starting {
            true => Observed::InProgress { detail: format!("`{}` is being recreated", self.database) },
            false => Observed::NotDone { detail: format!("nobody writes `{}`", self.database) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let sight = self.look().await?;
        let (call, rows) = (self.words(NEW_NAME), sight.rows(&self.database));
        let mut diff: Vec<String> = rows.iter().map(|row| format!("- {}", self.holds(&sight, row))).collect();
        let seed = self.seed(&sight).map_or("nobody".to_owned(), |row| self.holds(&sight, row));
        diff.push(format!("+ {} from {seed}", self.database));
        let pre_image = json!({ "hosts": rows.iter().map(|row| self.holds(&sight, row)).collect::<Vec<_>>() });
        Ok(Preview { summary: call, diff, pre_image })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let sight = self.look().await?;
        let mut guards = vec![self.neo4j.system_guard(&sight)];
        if sight.leader(&self.neo4j, &self.database).is_some() {
            let words = format!("`{}` has a writer: recreating it loses data for nothing", self.database);
            guards.push(Guard::block("writer", words).situational());
        }
        guards.push(self.newest_store(&sight));
        guards.push(self.lost_stores(&sight));
        let promotion = PromotionFacts {
            old_writer: self.old_writer(&sight).await,
            quorum: Some(sight.system_leader(&self.neo4j).is_some()),
            recovery_point: self.point(&sight).await,
            lossless: false,
        };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let sight = self.look().await?;
        let name = self.procedure(&sight).await?;
        self.neo4j.administer(self.call(name), &self.words(name), log).await
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            Observed::Impossible { why } => Verified::Broken { why },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(&self.neo4j.id, "the stores that were replaced are gone").next("restore a backup"))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.neo4j.fitness().await
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines =
            vec!["# The store with the largest lastCommittedTxn is the newest; an older one loses more.".to_owned()];
        let stores = "SHOW DATABASES YIELD name, address, currentStatus, lastCommittedTxn";
        lines.push(self.neo4j.by_hand(&self.hand, SYSTEM, stores));
        lines.push(format!("# Before Neo4j 2025.04 the procedure is called {OLD_NAME}."));
        lines.extend(self.neo4j.administer_by_hand(&self.hand, &self.words(NEW_NAME)));
        lines.push("# Verify: it has a writer, and a write succeeds.".to_owned());
        lines.push(self.neo4j.by_hand(&self.hand, SYSTEM, "SHOW DATABASES"));
        lines
    }
}

impl Recreate {
    async fn look(&self) -> Result<Sight, Fault> {
        let sight = self.neo4j.look().await;
        match sight.views.is_empty() {
            true => Err(sight.silence(&self.neo4j.id)),
            false => Ok(sight),
        }
    }

    /// Whether a server that answers may lead, and may not tell.
    fn is_untold(&self, sight: &Sight) -> bool {
        sight.views.values().any(|view| view.unchecked.is_some())
    }

    fn name_of(&self, sight: &Sight, row: &DatabaseRow) -> String {
        let id = row.server_id.as_deref();
        if let Some(name) = id.and_then(|id| sight.called(&self.neo4j, id)) {
            return name;
        }
        let known = id.and_then(|id| sight.server(id));
        clean(known.map_or(row.address.as_deref().unwrap_or("?"), |server| &server.name))
    }

    /// `analytics on neo4j-2 (secondary, online, transaction 42)`
    fn holds(&self, sight: &Sight, row: &DatabaseRow) -> String {
        let txn = row.newest_txn().map_or("an unknown transaction".to_owned(), |txn| format!("transaction {txn}"));
        let role = row.role.as_deref().unwrap_or("host");
        format!("{} on {} ({role}, {}, {txn})", self.database, self.name_of(sight, row), row.current_status)
    }

    fn may_seed(&self, sight: &Sight, row: &DatabaseRow) -> bool {
        let known = row.server_id.as_deref().and_then(|id| sight.server(id));
        let named = |wanted: &String| {
            *wanted == self.name_of(sight, row)
                || row.server_id.as_ref() == Some(wanted)
                || known.is_some_and(|server| server.name == *wanted)
        };
        self.seeding_servers.is_empty() || self.seeding_servers.iter().any(named)
    }

    /// The store that Neo4j would use: the newest of those that may be used.
    fn seed<'a>(&self, sight: &'a Sight) -> Option<&'a DatabaseRow> {
        let rows = sight.rows(&self.database);
        rows.into_iter().filter(|row| self.may_seed(sight, row)).max_by_key(|row| row.newest_txn())
    }

    /// Trap: a store that is older than another one within reach.
    fn newest_store(&self, sight: &Sight) -> Guard {
        let newest = sight.rows(&self.database).into_iter().max_by_key(|row| row.newest_txn());
        match (self.seed(sight), newest) {
            (Some(seed), _) if seed.newest_txn().is_none() => {
                Guard::block("newest-store", "how new the stores are is unknown")
            }
            (Some(seed), Some(newest)) if seed.newest_txn() < newest.newest_txn() => {
                let (seed, newest) = (self.holds(sight, seed), self.holds(sight, newest));
                Guard::block("newest-store", format!("{seed} is older than {newest}"))
            }
            (Some(seed), _) => match self.undated(sight) {
                Some(row) => {
                    let (seed, other) = (self.holds(sight, seed), self.holds(sight, row));
                    Guard::block("newest-store", format!("whether {seed} is older than {other} is not known"))
                }
                None => Guard::pass("newest-store", format!("{} is the newest within reach", self.holds(sight, seed))),
            },
            (None, _) => Guard::block("newest-store", "no server that may be used holds a store of it"),
        }
    }

    /// A store within reach that does not say how new it is; of those out of reach `lost-stores` speaks.
    fn undated<'a>(&self, sight: &'a Sight) -> Option<&'a DatabaseRow> {
        let in_reach = |row: &&DatabaseRow| sight.views.contains_key(&self.name_of(sight, row));
        let rows = sight.rows(&self.database).into_iter().filter(in_reach);
        rows.into_iter().find(|row| row.newest_txn().is_none())
    }

    fn lost_stores(&self, sight: &Sight) -> Guard {
        let gone: Vec<_> = sight.silent.keys().map(String::as_str).collect();
        match gone.is_empty() {
            true => Guard::pass("lost-stores", "every server answers"),
            false => Guard::warn("lost-stores", format!("what only {} held is gone for good", gone.join(", "))),
        }
    }

    /// The writer is gone with the servers that do not answer, if none does that says anything at all.
    async fn old_writer(&self, sight: &Sight) -> OldWriter {
        if sight.leader(&self.neo4j, &self.database).is_some() {
            return OldWriter::Reachable;
        }
        if self.is_untold(sight) {
            return OldWriter::Unknown;
        }
        if sight.silent.is_empty() {
            return OldWriter::Absent;
        }
        for (name, fault) in &sight.silent {
            if fault.class == FaultClass::Permanent || self.neo4j.client.may_live(&self.neo4j.servers[name]).await {
                return OldWriter::Unknown;
            }
        }
        OldWriter::Unreachable
    }

    /// Read from the store that would be used.
    async fn point(&self, sight: &Sight) -> Option<RecoveryPoint> {
        let name = self.name_of(sight, self.seed(sight)?);
        let at = self.neo4j.heartbeat(self.neo4j.servers.get(&name)?, &self.database).await.ok()??;
        let (region, source) = (self.neo4j.region(&name).cloned(), format!("heartbeat on {name}"));
        Some(RecoveryPoint { at, region, source, measured: true })
    }

    async fn procedure(&self, sight: &Sight) -> Result<&'static str, Fault> {
        let leader = sight.system_leader(&self.neo4j).ok_or_else(|| self.neo4j.no_system(sight))?;
        let components = query("CALL dbms.components() YIELD name, versions, edition");
        let rows = self.neo4j.client.ask_one(&self.neo4j.servers[&leader], SYSTEM, components).await?;
        let versions = rows.first().and_then(|row| row.get::<Vec<String>>("versions")).unwrap_or_default();
        let version = versions.first().map(String::as_str).unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        Ok(if version >= RENAMED_IN { NEW_NAME } else { OLD_NAME })
    }

    fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = [("primaries", self.primaries), ("secondaries", self.secondaries)];
        counts.into_iter().filter_map(|(key, count)| Some((key, count?)))
    }

    fn call(&self, name: &str) -> Query {
        let mut options = json!({ "seedingServers": self.seeding_servers });
        for (key, count) in self.counts() {
            options[key] = json!(count);
        }
        let call = query(&format!("CALL {name}($database, $options)")).param("database", self.database.as_str());
        call.param("options", options)
    }

    /// The same, as an engineer would type it.
    fn words(&self, name: &str) -> String {
        let servers: Vec<_> = self.seeding_servers.iter().map(|server| cypher_text(server)).collect();
        let counts: String = self.counts().map(|(key, count)| format!(", {key}: {count}")).collect();
        format!("CALL {name}({}, {{seedingServers: [{}]{counts}}})", cypher_text(&self.database), servers.join(", "))
    }
}
