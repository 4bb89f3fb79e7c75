//! What the servers say, all of them asked at once.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use futures::future::join_all;
use neo4rs::{Row, query};
use serde::Deserialize;

use super::Neo4j;
use super::client::SYSTEM;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;

/// What stands in the code of an error that refuses the user (<https://neo4j.com/docs/status-codes/current/errors/all-errors/>).
const FORBIDDEN: &str = "Neo.ClientError.Security.";

/// A row of `SHOW SERVERS YIELD *`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRow {
    pub server_id: String,
    pub name: String,
    #[serde(default)]
    pub address: Option<String>,
    pub state: String,
    pub health: String,
}

/// A row of `SHOW DATABASES YIELD *`: one database on one server.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRow {
    pub name: String,
    #[serde(default, rename = "serverID")]
    pub server_id: Option<String>,
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub writer: Option<bool>,
    pub requested_status: String,
    pub current_status: String,
    /// Transactions behind the writer, counted downwards from zero.
    #[serde(default)]
    pub replication_lag: Option<i64>,
    #[serde(default)]
    pub last_committed_txn: Option<i64>,
}

/// A row of `dbms.cluster.statusCheck`: one primary of one database. Neo4j spells it both ways, by version.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    pub database: String,
    pub server_id: String,
    #[serde(default)]
    pub replication_successful: Option<bool>,
    #[serde(default)]
    pub member_status: Option<String>,
    #[serde(default, alias = "recognizedLeader")]
    pub recognised_leader: Option<String>,
    #[serde(default, alias = "recognizedLeaderTerm")]
    pub recognised_leader_term: Option<i64>,
    #[serde(default)]
    pub requester: Option<bool>,
}

/// What one server says.
#[derive(Clone, Debug)]
pub struct View {
    pub servers: Vec<ServerRow>,
    pub databases: Vec<DatabaseRow>,
    /// Empty where it is not a primary of any clustered database, or too old to know the procedure.
    pub checks: Vec<CheckRow>,
}

/// What all servers say, by their name in the config.
#[derive(Debug)]
pub struct Sight {
    pub views: BTreeMap<String, View>,
    pub silent: BTreeMap<String, Fault>,
}

/// A leader that can replicate, and says so itself.
#[derive(Clone, Debug)]
pub struct Leader {
    pub server: String,
    pub term: Option<i64>,
    /// Primaries that can take part, of all.
    pub applying: usize,
    pub primaries: usize,
}

impl Sight {
    /// When no server answers: all that they say, and what to do as the first says that knows.
    pub fn silence(&self, system: &str) -> Fault {
        let told = self.silent.values().map(|fault| fault.next.as_str()).find(|next| !next.is_empty());
        let next = told.unwrap_or("check the network to the servers, then retry");
        Fault::transient(system, self.summary()).next(next)
    }

    /// `2 of 3 servers answer; bolt://10.0.0.1:7687 did not answer within 3.0 s`
    pub fn summary(&self) -> String {
        let mut words = format!("{} of {} servers answer", self.views.len(), self.views.len() + self.silent.len());
        for fault in self.silent.values() {
            words += &format!("; {}", fault.what);
        }
        words
    }

    /// Whether a server could not be heard because it refused, or told what cannot be read: it lives, and may lead.
    pub fn refuses(&self) -> bool {
        self.silent.values().any(|fault| fault.class == FaultClass::Permanent)
    }

    /// What the cluster says of a server, by name, id, or the name in the config.
    pub fn server(&self, name: &str) -> Option<&ServerRow> {
        self.views.values().flat_map(|view| &view.servers).find(|row| row.name == name || row.server_id == name)
    }

    /// Rows of one database, each server's once.
    pub fn rows(&self, database: &str) -> Vec<&DatabaseRow> {
        let mut seen = BTreeSet::new();
        let all = self.views.values().flat_map(|view| &view.databases).filter(|row| row.name == database);
        all.filter(|row| seen.insert((row.server_id.clone(), row.address.clone()))).collect()
    }

    /// The server that leads `database` and can replicate. A leader that others name but that does not say so itself is none.
    pub fn leader(&self, neo4j: &Neo4j, database: &str) -> Option<Leader> {
        let leads = |(name, view): (&String, &View)| {
            let own_id = own_id(neo4j, name, view)?;
            let checks: Vec<_> = view.checks.iter().filter(|row| row.database == database).collect();
            let own_row = view
                .databases
                .iter()
                .find(|row| row.name == database && row.server_id.as_deref().is_some_and(|id| id == own_id))?;
            let own_check = checks.iter().find(|row| row.requester == Some(true));
            let (leads, term) = match own_check {
                Some(row) => {
                    let own = row.recognised_leader.as_deref() == Some(own_id.as_str());
                    (own && row.replication_successful == Some(true), row.recognised_leader_term)
                }
                // A database with one primary is not clustered and has no check.
                None => (own_row.writer == Some(true) && own_row.current_status == "online", None),
            };
            let applying = checks.iter().filter(|row| row.member_status.as_deref() == Some("APPLYING")).count();
            let (applying, primaries) = if checks.is_empty() { (1, 1) } else { (applying, checks.len()) };
            leads.then(|| Leader { server: name.clone(), term, applying, primaries })
        };
        self.views.iter().filter_map(leads).max_by_key(|leader| leader.term)
    }

    /// The server to send administration to.
    pub fn system_leader(&self, neo4j: &Neo4j) -> Option<String> {
        self.leader(neo4j, SYSTEM).map(|leader| leader.server)
    }
}

/// The id that the cluster knows the asked server by.
fn own_id(neo4j: &Neo4j, name: &str, view: &View) -> Option<String> {
    if let Some(row) = view.checks.iter().find(|row| row.requester == Some(true)) {
        return Some(row.server_id.clone());
    }
    let address = neo4j.servers.get(name)?.split_once("://")?.1.trim_end_matches('/');
    let known = |row: &&ServerRow| row.name == name || row.address.as_deref() == Some(address);
    view.servers.iter().find(known).map(|row| row.server_id.clone())
}

impl Neo4j {
    /// Asks every server.
    pub fn look(&self) -> BoxFuture<'_, Sight> {
        Box::pin(async move {
            let answers = join_all(self.servers.values().map(|url| self.view(url))).await;
            let (mut views, mut silent) = (BTreeMap::new(), BTreeMap::new());
            for (name, answer) in self.servers.keys().zip(answers) {
                match answer {
                    Ok(view) => drop(views.insert(name.clone(), view)),
                    Err(fault) => drop(silent.insert(name.clone(), fault)),
                }
            }
            Sight { views, silent }
        })
    }

    fn view<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<View, Fault>> {
        Box::pin(async move {
            let queries = [
                (SYSTEM, query("SHOW SERVERS YIELD *")),
                (SYSTEM, query("SHOW DATABASES YIELD *")),
                (SYSTEM, query("CALL dbms.cluster.statusCheck([], 1000)")),
            ];
            let [servers, databases, checks] = self.client.ask(url, queries).await?;
            Ok(View {
                servers: self.typed(url, &servers?)?,
                databases: self.typed(url, &databases?)?,
                checks: match checks {
                    Ok(rows) => self.typed(url, &rows)?,
                    // Who may not ask has not seen that nothing is checked: a leader that cannot replicate would pass for one.
                    Err(fault) if fault.what.contains(FORBIDDEN) => return Err(fault),
                    // The procedure came with 5.24; before, SHOW DATABASES has to do.
                    Err(_) => Vec::new(),
                },
            })
        })
    }

    fn typed<T: serde::de::DeserializeOwned>(&self, url: &str, rows: &[Row]) -> Result<Vec<T>, Fault> {
        let wrong = |error: neo4rs::DeError| {
            Fault::permanent(&self.id, format!("{url} answers otherwise than expected: {}", clean(&error.to_string())))
                .means("this version of Neo4j may be one that Mayday does not know")
        };
        rows.iter().map(|row| row.to_strict().map_err(wrong)).collect()
    }

    /// The newest write that the server at `url` holds; `None` if there is none that can be read.
    pub fn heartbeat<'a>(&'a self, url: &'a str, database: &'a str) -> BoxFuture<'a, Result<Option<At>, Fault>> {
        Box::pin(async move {
            let rows = self.client.ask_one(url, database, query(&self.heartbeat_query)).await?;
            Ok(rows.first().and_then(moment))
        })
    }
}

/// The only column of a row, as a moment.
fn moment(row: &Row) -> Option<At> {
    if let Ok(at) = row.to::<chrono::DateTime<chrono::FixedOffset>>() {
        return At::new(at.timestamp(), at.timestamp_subsec_nanos().cast_signed()).ok();
    }
    row.to::<String>().ok()?.trim().parse().ok()
}
