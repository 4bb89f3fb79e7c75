//! `neo4j.start-databases`: what was stopped is started.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Neo4j;
use super::super::client::SYSTEM;
use super::super::look::Sight;
use super::super::session::query;
use crate::domain::system::{Begun, Checked, Fault, Fitness, Observed, Preview, Receipt, Step, StepLog, Verified};
use crate::systems::shell::quoted;

pub struct Start {
    pub neo4j: Arc<Neo4j>,
    /// Which; empty means all that are stopped.
    pub only: Vec<String>,
    /// Where the commands go that an engineer pastes.
    pub hand: String,
}

#[async_trait]
impl Step for Start {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(self.seen(&self.look().await?))
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let stopped = self.stopped(&self.look().await?);
        let line = |name: &String| [format!("- {name} offline"), format!("+ {name} online")];
        Ok(Preview {
            summary: format!("START DATABASE {}", list(&stopped)),
            diff: stopped.iter().flat_map(line).collect(),
            pre_image: json!(stopped),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let guards = vec![self.neo4j.system_guard(&self.look().await?)];
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.each(pre_image, "START DATABASE $database", log).await
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let sight = self.look().await?;
        let waiting: BTreeSet<_> = self.stopped(&sight).union(&self.starting(&sight)).cloned().collect();
        Ok(match self.seen(&sight) {
            Observed::Done { .. } => Verified::Holds { detail: "all are online".into(), recovery_point: None },
            Observed::Impossible { why } => Verified::Broken { why },
            Observed::Unknowable { why } => Verified::Pending { detail: why },
            _ => Verified::Pending { detail: format!("not online yet: {}", list(&waiting)) },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let sight = self.look().await?;
        let rows = sight.views.values().flat_map(|view| &view.databases);
        let asked: BTreeSet<&str> =
            rows.filter(|row| row.requested_status == "offline").map(|row| row.name.as_str()).collect();
        let mut names: BTreeSet<String> = serde_json::from_value(begun.pre_image.clone()).unwrap_or_default();
        names.retain(|name| !asked.contains(name.as_str()));
        self.each(&json!(names), "STOP DATABASE $database", log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.neo4j.fitness().await
    }

    fn by_hand(&self) -> Vec<String> {
        let (neo4j, at) = (&self.neo4j, self.hand.as_str());
        let look = neo4j.by_hand(at, SYSTEM, "SHOW DATABASES YIELD name, requestedStatus, currentStatus");
        let mut lines = vec![look.clone()];
        lines.extend(neo4j.find_system_by_hand(at));
        let shell = neo4j.client.shell(at, SYSTEM);
        if self.only.is_empty() {
            let stopped = quoted(
                "SHOW DATABASES YIELD name, requestedStatus WHERE requestedStatus = 'stopped' RETURN DISTINCT name",
            );
            lines.push(format!(
                "for name in $({shell} --format plain {stopped} | tail -n +2 | tr -d '\"'); do {shell} \"START DATABASE \\`$name\\`\"; done"
            ));
        }
        let start = |name: &String| quoted(&format!("START DATABASE `{}`", name.replace('`', "``")));
        lines.extend(self.only.iter().map(|name| format!("{shell} {}", start(name))));
        lines.push("# Verify: currentStatus is online.".to_owned());
        lines.push(look);
        lines
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Start {
    async fn look(&self) -> Result<Sight, Fault> {
        let sight = self.neo4j.look().await;
        match sight.views.is_empty() {
            true => Err(sight.silence(&self.neo4j.id)),
            false => Ok(sight),
        }
    }

    fn seen(&self, sight: &Sight) -> Observed {
        let (stopped, starting) = (self.stopped(sight), self.starting(sight));
        if !sight.tells_databases() {
            let why = format!("no server says which databases there are: {}", sight.summary());
            return Observed::Unknowable { why };
        }
        // A database whose hosts are all gone is not told of at all: that is not one that runs.
        if let Some(name) = self.only.iter().find(|name| sight.rows(name).is_empty()) {
            let vanished = || format!("`{name}` has vanished: no living server hosts it");
            return Observed::Impossible { why: sight.alias(name).unwrap_or_else(vanished) };
        }
        match () {
            () if !stopped.is_empty() => Observed::NotDone { detail: format!("stopped: {}", list(&stopped)) },
            () if !starting.is_empty() => Observed::InProgress { detail: format!("starting: {}", list(&starting)) },
            () => Observed::Done { detail: "nothing that should run is stopped".into() },
        }
    }

    fn named(&self, sight: &Sight, requested: &str) -> BTreeSet<String> {
        let rows = sight.views.values().flat_map(|view| &view.databases);
        let wanted = rows.filter(|row| self.only.is_empty() || self.only.contains(&row.name));
        let so = wanted.filter(|row| row.requested_status == requested && row.current_status != "online");
        so.map(|row| row.name.clone()).collect()
    }

    fn stopped(&self, sight: &Sight) -> BTreeSet<String> {
        self.named(sight, "offline")
    }

    fn starting(&self, sight: &Sight) -> BTreeSet<String> {
        self.named(sight, "online")
    }

    /// Starting or stopping twice is the same as once, so one may fail after another was done.
    async fn each(&self, names: &Value, command: &str, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let names: BTreeSet<String> = serde_json::from_value(names.clone()).unwrap_or_default();
        let mut receipt = Receipt::new();
        for name in names {
            let words = command.replace("$database", &name);
            self.neo4j.administer(query(command).param("database", name.as_str()), &words, log).await?;
            receipt.insert(name, words);
        }
        Ok(receipt)
    }
}
