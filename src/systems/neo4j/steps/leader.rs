//! `neo4j.leader` waits for a leader in a region, and `neo4j.recovery-point` reads the newest write from the leader. Neither can make
//! a server lead: elections are automatic (a loss is noticed after 20 to 23 s, an election takes 3 to 6 s), and there is no call for it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::Neo4j;
use super::super::client::SYSTEM;
use super::super::look::{Leader, Sight};
use crate::domain::ids::RegionId;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;

pub struct Leads {
    pub neo4j: Arc<Neo4j>,
    pub region: Option<RegionId>,
    /// Whether the newest write is read, too.
    pub measures: bool,
    /// Where the commands go that an engineer pastes.
    pub hand: String,
}

#[async_trait]
impl Step for Leads {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let sight = self.neo4j.look().await;
        if sight.views.is_empty() {
            return Err(sight.silence(&self.neo4j.id));
        }
        Ok(match self.leader(&sight) {
            Ok(leader) if !self.measures => Observed::Done { detail: self.words(&leader) },
            Ok(_) => Observed::NotDone { detail: "the newest write is not read yet".into() },
            Err(detail) => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let place = self.region.as_ref().map_or(String::new(), |region| format!(" in {region}"));
        let database = &self.neo4j.database;
        let summary = match self.measures {
            true => format!("reads the newest write from the leader of `{database}`{place}"),
            false => format!("waits for a leader of `{database}`{place} that can replicate"),
        };
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        self.nothing()
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let leader = match self.leader(&self.neo4j.look().await) {
            Ok(leader) => leader,
            Err(detail) => return Ok(Verified::Pending { detail }),
        };
        if !self.measures {
            return Ok(Verified::Holds { detail: self.words(&leader), recovery_point: None });
        }
        let place = self.neo4j.placed(&leader.server);
        let newest = self.neo4j.heartbeat(&self.neo4j.servers[&leader.server], &self.neo4j.database).await?;
        let Some(at) = newest else {
            let why = format!("{place} returns no moment for the heartbeat query");
            return Ok(Verified::Broken { why });
        };
        let region = self.neo4j.region(&leader.server).cloned();
        let source = clean(&format!("heartbeat on the leader {}", leader.server));
        let recovery_point = Some(RecoveryPoint { at, region, source, measured: true });
        Ok(Verified::Holds { detail: format!("the newest write on {place} is of {at}"), recovery_point })
    }

    /// Whoever leads now, in whichever region: a database that nobody leads will not be led elsewhere by waiting.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        let (neo4j, sight) = (&self.neo4j, self.neo4j.look().await);
        let Some(leader) = sight.leader(neo4j, &neo4j.database) else {
            if !sight.tells_databases() || sight.refuses() {
                return Err(sight.silence(&neo4j.id).means("whether anybody leads is not known"));
            }
            return Ok(Fitness { guards: vec![Guard::block("leader", self.leaderless(&sight))] });
        };
        let mut guards = vec![Guard::pass("leader", self.words(&leader))];
        if self.measures {
            let (place, url) = (neo4j.placed(&leader.server), &neo4j.servers[&leader.server]);
            guards.push(match neo4j.heartbeat(url, &neo4j.database).await? {
                Some(at) => Guard::pass("heartbeat", format!("the newest write on {place} is of {at}")),
                None => Guard::block("heartbeat", format!("{place} returns no moment for the heartbeat query")),
            });
        }
        Ok(Fitness { guards })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        self.nothing()
    }

    fn by_hand(&self) -> Vec<String> {
        let neo4j = &self.neo4j;
        let check = neo4j
            .servers
            .values()
            .map(|url| neo4j.client.by_hand(url, SYSTEM, "CALL dbms.cluster.statusCheck([], 1000)"));
        let mut lines = vec![
            "# On every server: replicationSuccessful, and recognisedLeader of the highest term.".to_owned(),
            "# No call makes a server lead; without a majority, go on with the disaster procedure.".to_owned(),
        ];
        lines.extend(check);
        if self.measures {
            lines.push("# On the leader, or on a server that has caught up with it:".to_owned());
            lines.push(neo4j.by_hand(&self.hand, &neo4j.database, &neo4j.heartbeat_query));
        }
        lines
    }
}

impl Leads {
    /// `Err` holds why there is none that will do yet.
    fn leader(&self, sight: &Sight) -> Result<Leader, String> {
        let found = sight.leader(&self.neo4j, &self.neo4j.database);
        let Some(leader) = found else { return Err(self.leaderless(sight)) };
        match &self.region {
            Some(wanted) if self.neo4j.region(&leader.server) != Some(wanted) && !self.will_do(wanted, &leader) => {
                let place = self.neo4j.placed(&leader.server);
                Err(format!("{place} leads and lives; an election moves it only once it is stopped or cut off"))
            }
            _ => Ok(leader),
        }
    }

    /// Whether whoever leaves the primary for `wanted` is served by a leader in another standby.
    fn will_do(&self, wanted: &RegionId, leader: &Leader) -> bool {
        let (Some(home), Some(there)) = (&self.neo4j.home, self.neo4j.region(&leader.server)) else { return false };
        wanted != home && there != home
    }

    fn leaderless(&self, sight: &Sight) -> String {
        let database = &self.neo4j.database;
        if let Some(fault) = sight.views.values().find_map(|view| view.unchecked.as_ref()) {
            return format!("whether anybody leads `{database}` is not told: {}", fault.what);
        }
        match (!sight.tells_databases(), sight.rows(database).is_empty()) {
            (true, _) => format!("whether anybody leads `{database}` is not known: {}", sight.summary()),
            (false, true) => {
                sight.alias(database).unwrap_or_else(|| format!("`{database}` has vanished: no living server hosts it"))
            }
            (false, false) => format!("nobody leads `{database}` and can replicate; {}", sight.summary()),
        }
    }

    fn words(&self, leader: &Leader) -> String {
        let place = self.neo4j.placed(&leader.server);
        let term = leader.term.map_or(String::new(), |term| format!(" in term {term}"));
        format!("{place} leads{term} and replicates; {}/{} primaries take part", leader.applying, leader.primaries)
    }

    fn nothing(&self) -> Result<Receipt, Fault> {
        Err(Fault::permanent(&self.neo4j.id, "this step changes nothing").next("verify it instead"))
    }
}
