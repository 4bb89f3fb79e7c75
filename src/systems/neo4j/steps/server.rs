//! The steps of the disaster procedure that act on one lost server: cordon, deallocate, drop. They differ in a row of a table.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Neo4j;
use super::super::client::SYSTEM;
use super::super::look::{ServerRow, Sight};
use super::super::session::query;
use super::cypher_text;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;

/// One kind of step.
pub struct Verb {
    pub name: &'static str,
    /// With `$server` for its id.
    command: &'static str,
    /// States of `SHOW SERVERS` in which it is done; none: the server is gone from the list.
    done: &'static [&'static str],
    under_way: &'static [&'static str],
    /// States in which it may be begun.
    from: &'static [&'static str],
    /// What `DRYRUN` in front of the command tells, if it can.
    dry_run: bool,
    /// What takes it back.
    undo: Option<&'static str>,
}

pub const VERBS: [Verb; 3] = [
    Verb {
        name: "cordon",
        command: "CALL dbms.cluster.cordonServer($server)",
        done: &["Cordoned", "Deallocating", "Deallocated"],
        under_way: &[],
        from: &["Enabled"],
        dry_run: false,
        undo: Some("ENABLE SERVER $server"),
    },
    Verb {
        name: "deallocate",
        command: "DEALLOCATE DATABASES FROM SERVER $server",
        done: &["Deallocated"],
        under_way: &["Deallocating"],
        from: &["Cordoned"],
        dry_run: true,
        undo: None,
    },
    Verb {
        name: "drop-server",
        command: "DROP SERVER $server",
        done: &[],
        under_way: &["Dropping"],
        from: &["Deallocated"],
        dry_run: false,
        undo: None,
    },
];

pub struct ServerStep {
    pub neo4j: Arc<Neo4j>,
    pub verb: &'static Verb,
    pub server: String,
    /// Where the commands go that an engineer pastes.
    pub hand: String,
}

#[async_trait]
impl Step for ServerStep {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let sight = self.look().await?;
        if !sight.tells_servers() {
            return Ok(Observed::Unknowable { why: self.neo4j.no_servers(&sight) });
        }
        let Some(row) = self.row(&sight, self.id(begun)) else {
            return Ok(match self.verb.done.is_empty() {
                true => Observed::Done { detail: format!("{} is not in the cluster", self.server) },
                false => Observed::Impossible { why: format!("SHOW SERVERS has no server `{}`", self.server) },
            });
        };
        let detail = format!("{} is {}, {}", row.name, row.state, row.health);
        let is = |states: &[&str]| states.iter().any(|state| row.state.eq_ignore_ascii_case(state));
        Ok(match () {
            () if is(self.verb.done) => Observed::Done { detail },
            () if is(self.verb.under_way) => Observed::InProgress { detail },
            () => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let sight = self.look().await?;
        let row = self.row(&sight, &self.server);
        let id = row.map_or(self.server.as_str(), |row| row.server_id.as_str());
        let state = row.map_or("unknown", |row| row.state.as_str());
        let mut diff = vec![format!("- {} {state}", self.server), format!("+ {} {}", self.server, self.verb.name)];
        if self.verb.dry_run {
            diff.extend(self.moves(&sight, id).await);
        }
        let summary = self.verb.command.replace("$server", &cypher_text(&self.server));
        Ok(Preview { summary, diff, pre_image: json!({ "id": id, "state": state }) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let sight = self.look().await?;
        let mut guards = vec![self.neo4j.system_guard(&sight)];
        if !sight.tells_servers() {
            guards.push(Guard::block("servers", self.neo4j.no_servers(&sight)));
        }
        if let Some(row) = self.row(&sight, &self.server) {
            guards.push(self.state_guard(row));
            guards.push(match row.health.eq_ignore_ascii_case("Available") || self.answers(&sight, row) {
                true => Guard::warn("lost", format!("{} is available: is it really lost?", row.name)).situational(),
                false => Guard::pass("lost", format!("{} is {}", row.name, row.health)),
            });
        }
        if self.verb.dry_run {
            guards.push(self.writers_guard(&sight));
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let id = noted_id(pre_image).unwrap_or(&self.server);
        self.neo4j.administer(query(self.verb.command).param("server", id), self.verb.command, log).await
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            Observed::Impossible { why } => Verified::Broken { why },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let Some(undo) = self.verb.undo else {
            return Err(Fault::permanent(&self.neo4j.id, format!("{} cannot be taken back", self.verb.name)));
        };
        let id = self.id(Some(begun));
        if self.row(&self.look().await?, id).is_some_and(|row| row.state.eq_ignore_ascii_case("Enabled")) {
            log.line(&format!("{} is enabled already", self.server));
            return Ok(Receipt::new());
        }
        self.neo4j.administer(query(undo).param("server", id), undo, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.neo4j.fitness().await
    }

    fn by_hand(&self) -> Vec<String> {
        let command = self.verb.command.replace("$server", &cypher_text(&self.server));
        let mut lines = Vec::new();
        if self.verb.dry_run {
            lines.push("# What would move, and where to:".to_owned());
            lines.push(self.neo4j.by_hand(&self.hand, SYSTEM, &format!("DRYRUN {command}")));
        }
        lines.extend(self.neo4j.administer_by_hand(&self.hand, &command));
        lines.push("# Verify its state:".to_owned());
        lines.push(self.neo4j.by_hand(&self.hand, SYSTEM, "SHOW SERVERS"));
        lines
    }
}

impl ServerStep {
    async fn look(&self) -> Result<Sight, Fault> {
        let sight = self.neo4j.look().await;
        match sight.views.is_empty() {
            true => Err(sight.silence(&self.neo4j.id)),
            false => Ok(sight),
        }
    }

    /// The id that was journalled, or what the plan names: a name may be given again, an id is not.
    fn id<'a>(&'a self, begun: Option<&'a Begun>) -> &'a str {
        begun.and_then(|begun| noted_id(&begun.pre_image)).unwrap_or(&self.server)
    }

    /// By its name or id in the cluster, or by its name in the config.
    fn row<'a>(&self, sight: &'a Sight, server: &str) -> Option<&'a ServerRow> {
        sight
            .server(server)
            .or_else(|| sight.known_as(&self.neo4j, server).filter(|_| self.neo4j.servers.contains_key(server)))
    }

    /// Whether it answers Mayday itself, whatever the cluster calls it.
    fn answers(&self, sight: &Sight, row: &ServerRow) -> bool {
        sight.called(&self.neo4j, &row.server_id).is_some_and(|name| sight.views.contains_key(&name))
    }

    fn state_guard(&self, row: &ServerRow) -> Guard {
        let said = format!("{} is {}", row.name, row.state);
        match self.verb.from.iter().any(|state| row.state.eq_ignore_ascii_case(state)) {
            true => Guard::pass("state", said),
            false => Guard::block("state", format!("{said}; it has to be {} first", self.verb.from.join(" or ")))
                .situational(),
        }
    }

    /// A database without a writer cannot be moved; it is recreated first.
    fn writers_guard(&self, sight: &Sight) -> Guard {
        let names = || sight.views.values().flat_map(|view| &view.databases).map(|row| row.name.as_str());
        if names().next().is_none() {
            return Guard::block(
                "writers",
                "no server says which databases there are: whether they have writers is unknown",
            );
        }
        let mut without: Vec<_> =
            names().filter(|name| *name != SYSTEM && sight.leader(&self.neo4j, name).is_none()).collect();
        without.sort_unstable();
        without.dedup();
        match without.is_empty() {
            true => Guard::pass("writers", "every database has a writer"),
            false => {
                Guard::block("writers", format!("no writer: {}; recreate or start them first", without.join(", ")))
            }
        }
    }

    /// What `DRYRUN` says, as lines of a diff. It changes nothing, and goes to the leader like the command itself.
    async fn moves(&self, sight: &Sight, id: &str) -> Vec<String> {
        let Some(leader) = sight.system_leader(&self.neo4j) else { return Vec::new() };
        let dry = query(&format!("DRYRUN {}", self.verb.command)).param("server", id);
        match self.neo4j.client.ask_one(&self.neo4j.servers[&leader], SYSTEM, dry).await {
            Ok(rows) => rows
                .iter()
                .map(|row| {
                    let cell = |key: &str| clean(&row.get::<String>(key).unwrap_or_default());
                    let (database, mode) = (cell("database"), cell("mode"));
                    format!("  {database} ({mode}): {} → {}", cell("fromServerName"), cell("toServerName"))
                })
                .collect(),
            Err(fault) => vec![format!("  DRYRUN: {}", fault.what)],
        }
    }
}

fn noted_id(pre_image: &Value) -> Option<&str> {
    pre_image.get("id")?.as_str()
}
