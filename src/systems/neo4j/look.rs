//! What the servers say, all of them asked at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::Neo4j;
use super::client::SYSTEM;
use super::login::SECURITY;
use super::place::Place;
use super::session::{Row, query};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::dated::written;

/// What the code of an error begins with where a server does not know what was asked, which is another thing than a check that failed
/// (<https://neo4j.com/docs/status-codes/current/errors/all-errors/>).
const NOT_KNOWN: [&str; 2] = ["Neo.ClientError.Procedure.ProcedureNotFound", "Neo.ClientError.Statement."];

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
    last_committed_txn: Option<i64>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
}

impl DatabaseRow {
    /// The newest transaction of this copy; what is below zero is Neo4j's word for "not known".
    pub fn newest_txn(&self) -> Option<i64> {
        self.last_committed_txn.filter(|txn| *txn >= 0)
    }
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

/// What one server says. What it does not know or may not tell leaves the picture smaller, and not the server silent.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// `None` where it does not tell: Community and 4.x know no `SHOW SERVERS`, and a user may not be allowed to ask.
    pub servers: Option<Vec<ServerRow>>,
    pub databases: Vec<DatabaseRow>,
    /// Empty where it is not a primary of any clustered database, or too old to know the procedure.
    pub checks: Vec<CheckRow>,
    /// Why it is not told whether it leads, where the user may not ask, the check failed, or its own row is not known: a leader that
    /// cannot replicate would pass for one, and a cluster that has one for a cluster that has none.
    pub unchecked: Option<Fault>,
    /// The address that it announces, where it was asked for that.
    pub announced: Option<String>,
    /// The role that a member of a 4.x cluster says it plays for the watched database.
    pub own_role: Option<String>,
    /// What it did not tell.
    pub untold: Vec<String>,
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
        let unchecked = self.views.values().any(|view| view.unchecked.is_some());
        unchecked || self.silent.values().any(|fault| fault.class == FaultClass::Permanent)
    }

    /// Whether any server tells which servers there are.
    pub fn tells_servers(&self) -> bool {
        self.views.values().any(|view| view.servers.is_some())
    }

    /// That a name is not a database's own, if it is none.
    pub fn alias(&self, name: &str) -> Option<String> {
        let rows = || self.views.values().flat_map(|view| &view.databases);
        let of = |row: &&DatabaseRow| row.aliases.iter().flatten().any(|alias| alias == name);
        let own = rows().find(of).filter(|_| rows().all(|row| row.name != name))?;
        Some(format!(
            "`{name}` is another name of the database `{own}`: set `database` to that",
            own = clean(&own.name)
        ))
    }

    /// Whether any server tells which databases there are.
    pub fn tells_databases(&self) -> bool {
        self.views.values().any(|view| !view.databases.is_empty())
    }

    /// What the cluster says of a server, by its name or id there.
    pub fn server(&self, name: &str) -> Option<&ServerRow> {
        self.servers().find(|row| row.name == name || row.server_id == name)
    }

    fn servers(&self) -> impl Iterator<Item = &ServerRow> {
        self.views.values().flat_map(|view| view.servers.iter().flatten())
    }

    /// What the cluster says of the server that the config calls `name`: by that name, by what it says of itself, or by its address. One
    /// that was given no name is called by its id there.
    pub fn known_as(&self, neo4j: &Neo4j, name: &str) -> Option<&ServerRow> {
        let own = self.views.get(name).and_then(|view| own_id(neo4j, name, view));
        let address = neo4j.address(name);
        self.servers()
            .find(|row| own.as_ref() == Some(&row.server_id))
            .or_else(|| self.server(name))
            .or_else(|| self.servers().find(|row| row.address.is_some() && row.address == address))
    }

    /// What the config calls the server that the cluster knows by this id.
    pub fn called(&self, neo4j: &Neo4j, id: &str) -> Option<String> {
        let is = |name: &&String| self.known_as(neo4j, name).is_some_and(|row| row.server_id == id);
        neo4j.servers.keys().find(is).cloned()
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
            let own_row = own_row(neo4j, name, view, database)?;
            let checks: Vec<_> = view.checks.iter().filter(|row| row.database == database).collect();
            let own_check = checks.iter().find(|row| row.requester == Some(true));
            let (leads, term) = match own_check {
                Some(row) => {
                    let own = row.recognised_leader.as_deref() == Some(row.server_id.as_str());
                    (own && row.replication_successful == Some(true), row.recognised_leader_term)
                }
                // Who may not ask, or got no answer, has not seen that nothing is checked.
                None if view.unchecked.is_some() && primaries(view, database) != 1 => (false, None),
                // A database with one primary is not clustered and has no check; before 5.24 nobody knows the check.
                None => (writes(view, own_row) && own_row.current_status == "online", None),
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

/// How many primaries a database has, as one server says.
fn primaries(view: &View, database: &str) -> usize {
    let is = |row: &&DatabaseRow| row.name == database && row.role.as_deref() == Some("primary");
    view.databases.iter().filter(is).count()
}

/// Whether a server says that it writes a database: in so many words since 5, by its role before (`leader`, `standalone`).
fn writes(view: &View, row: &DatabaseRow) -> bool {
    let role = view.own_role.as_deref().or(row.role.as_deref()).unwrap_or_default();
    row.writer.unwrap_or_else(|| ["leader", "standalone"].iter().any(|it| role.eq_ignore_ascii_case(it)))
}

/// Whether `address` is the asked server's: as the config has it, or as it announces itself.
fn is_at(neo4j: &Neo4j, name: &str, view: &View, address: Option<&str>) -> bool {
    address.is_some_and(|it| view.announced.as_deref() == Some(it) || neo4j.address(name).as_deref() == Some(it))
}

/// Whether a server that tells of several copies of a database does not tell which of them is its own.
pub fn is_faceless(neo4j: &Neo4j, name: &str, view: &View, database: &str) -> bool {
    let several = view.databases.iter().filter(|row| row.name == database).count() > 1;
    let unknown = || own_id(neo4j, name, view).is_none() && view.announced.is_none();
    several && unknown() && own_row(neo4j, name, view, database).is_none()
}

/// The id that the cluster knows the asked server by.
fn own_id(neo4j: &Neo4j, name: &str, view: &View) -> Option<String> {
    if let Some(row) = view.checks.iter().find(|row| row.requester == Some(true)) {
        return Some(row.server_id.clone());
    }
    let known = |row: &&ServerRow| row.name == name || is_at(neo4j, name, view, row.address.as_deref());
    let servers = view.servers.iter().flatten();
    servers
        .clone()
        .find(known)
        .or_else(|| servers.clone().next().filter(|_| servers.count() == 1))
        .map(|row| row.server_id.clone())
}

/// What the asked server says of its own copy of a database. Where it does not tell which servers there are, its row is the only one, or
/// the one with its address.
pub fn own_row<'a>(neo4j: &Neo4j, name: &str, view: &'a View, database: &str) -> Option<&'a DatabaseRow> {
    let rows = || view.databases.iter().filter(|row| row.name == database);
    if let Some(id) = own_id(neo4j, name, view) {
        return rows().find(|row| row.server_id.as_ref() == Some(&id));
    }
    let by_address = || rows().find(|row| is_at(neo4j, name, view, row.address.as_deref()));
    // A member of a 4.x cluster says its own role, whatever address it announces.
    let by_role = || {
        let role = view.own_role.as_deref()?;
        rows().find(|row| row.role.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(role)))
    };
    if rows().count() == 1 { rows().next() } else { by_address().or_else(by_role) }
}

impl Neo4j {
    /// `host:port` of a server of the config.
    fn address(&self, name: &str) -> Option<String> {
        Place::of(&self.id, self.servers.get(name)?).ok().map(|place| place.address())
    }

    /// Asks every server.
    pub fn look(&self) -> BoxFuture<'_, Sight> {
        self.look_within(self.client.patience())
    }

    /// The same for a look that is over by then: who has not answered is silent, and does not keep what the others say from being told.
    pub fn look_within(&self, limit: Duration) -> BoxFuture<'_, Sight> {
        Box::pin(async move {
            let each = self.servers.iter().map(async |(name, url)| {
                timeout(limit, self.view(name, url)).await.unwrap_or_else(|_| Err(self.client.late(url, limit)))
            });
            let answers = join_all(each).await;
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

    fn view<'a>(&'a self, name: &'a str, url: &'a str) -> BoxFuture<'a, Result<View, Fault>> {
        Box::pin(async move {
            let queries = [
                (SYSTEM, query("SHOW SERVERS YIELD *")),
                (SYSTEM, query("SHOW DATABASES YIELD *")),
                (SYSTEM, query("CALL dbms.cluster.statusCheck([], 1000)")),
                (SYSTEM, query("CALL dbms.cluster.role($database)").param("database", self.database.as_str())),
            ];
            let [servers, databases, checks, role] = self.client.ask(url, queries).await?;
            let mut view = View::default();
            match (servers, databases) {
                // Somebody who tells neither is asked in vain.
                (Err(servers), Err(databases)) => {
                    return Err(if databases.what.contains(SECURITY) { databases } else { servers });
                }
                (servers, databases) => {
                    view.servers = self.told("SHOW SERVERS", url, servers, &mut view.untold)?;
                    view.databases = self.told("SHOW DATABASES", url, databases, &mut view.untold)?.unwrap_or_default();
                }
            }
            match checks {
                Ok(rows) => view.checks = self.typed(url, &rows)?,
                // The procedure came with 5.24, and Community has none; there SHOW DATABASES has to do.
                Err(fault) if NOT_KNOWN.iter().any(|code| fault.what.contains(code)) => {}
                Err(fault) => view.unchecked = Some(fault),
            }
            // Only 4.x knows it.
            view.own_role = role.ok().and_then(|rows| rows.first()?.get("role"));
            if is_faceless(self, name, &view, &self.database) {
                view.announced = self.announced(url).await;
            }
            if is_faceless(self, name, &view, &self.database) {
                let what = format!("which of the cluster's servers `{}` is, is not told", clean(name));
                let fault = Fault::permanent(&self.id, what)
                    .next("call it in `servers` as SHOW SERVERS does, or let the user SHOW SETTINGS");
                view.unchecked.get_or_insert(fault);
            }
            Ok(view)
        })
    }

    /// The address that a server announces to clients, in the words of 5.x or of 4.x; `None` where it does not tell.
    async fn announced(&self, url: &str) -> Option<String> {
        let settings = "SHOW SETTINGS YIELD name, value WHERE name ENDS WITH 'advertised_address'";
        let configured = "CALL dbms.listConfig('advertised_address') YIELD name, value";
        let queries = [(SYSTEM, query(settings)), (SYSTEM, query(configured))];
        let [new, old] = self.client.ask(url, queries).await.ok()?;
        announced(&new.or(old).ok()?)
    }

    fn told<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        url: &str,
        rows: Result<Vec<Row>, Fault>,
        untold: &mut Vec<String>,
    ) -> Result<Option<Vec<T>>, Fault> {
        match rows {
            Ok(rows) => self.typed(url, &rows).map(Some),
            Err(fault) => {
                untold.push(format!("{what} is not told: {}", fault.what));
                Ok(None)
            }
        }
    }

    fn typed<T: serde::de::DeserializeOwned>(&self, url: &str, rows: &[Row]) -> Result<Vec<T>, Fault> {
        let wrong = |error: serde_json::Error| {
            Fault::permanent(&self.id, format!("{url} answers otherwise than expected: {}", clean(&error.to_string())))
                .means("this version of Neo4j may be one that Mayday does not know")
        };
        rows.iter().map(|row| serde_json::from_value(Value::Object(row.0.clone())).map_err(wrong)).collect()
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
    match row.only()? {
        Value::String(text) => written(text),
        Value::Number(number) => written(&number.to_string()),
        _ => None,
    }
}

/// `host:port` of Bolt among a server's settings: without a host of its own it is the one that the server announces for everything.
fn announced(settings: &[Row]) -> Option<String> {
    let value = |ends: &str| {
        let named = |row: &&Row| row.get::<String>("name").is_some_and(|name| name.ends_with(ends));
        settings.iter().find(named)?.get::<String>("value")
    };
    let (bolt, host) = (value("bolt.advertised_address")?, value("default_advertised_address"));
    match (bolt.starts_with(':'), host) {
        (false, _) => Some(bolt),
        (true, Some(host)) => Some(format!("{host}{bolt}")),
        (true, None) => None,
    }
}

#[cfg(test)]
mod tests;
