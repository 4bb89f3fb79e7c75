//! Neo4j over Bolt, and the truth about the cluster: servers, databases, and who leads each of them.

mod admin;
mod bolt;
mod database;
mod packstream;
mod query;
mod show;

use std::time::Duration;

use jiff::Timestamp;

use super::faults::{Condition, Faults};
use super::rows::Held;
use super::world::{Extent, PRIMARY, STANDBY, THIRD, Tick};
use database::{Database, Host};
use query::Failure;

pub use bolt::start;

/// The place of servers.
pub const NEO4J: &str = "neo4j";
pub const USER: &str = "neo4j";
pub const PASSWORD: &str = "labpassword";
/// The database that the platform lives on.
pub const DATABASE: &str = "neo4j";
pub const SYSTEM: &str = "system";
/// One primary, and one secondary in the other region: what a disaster leaves without a writer.
const ANALYTICS: &str = "analytics";
const VERSION: &str = "2025.06.0";

/// Name, region, availability zone.
const SERVERS: [(&str, &str, &str); 3] =
    [("neo4j-1", PRIMARY, "us-east-1b"), ("neo4j-2", STANDBY, "us-west-2a"), ("neo4j-3", STANDBY, "us-west-2b")];
/// The same in a lab of three regions.
const SPREAD: [(&str, &str, &str); 3] =
    [("neo4j-1", PRIMARY, "us-east-1b"), ("neo4j-2", STANDBY, "us-west-2a"), ("neo4j-3", THIRD, "eu-west-1a")];

fn servers(extent: Extent) -> [(&'static str, &'static str, &'static str); 3] {
    if extent == Extent::Two { SERVERS } else { SPREAD }
}
/// A server that is silent for so long is shown as unavailable.
const UNAVAILABLE_AFTER: Duration = Duration::from_secs(10);

/// `SHOW SERVERS`' state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Enabled,
    Cordoned,
    Deallocated,
    Dropped,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Cordoned => "Cordoned",
            Self::Deallocated => "Deallocated",
            Self::Dropped => "Dropped",
        }
    }
}

/// Every server, with its region.
pub fn members(extent: Extent) -> impl Iterator<Item = (&'static str, &'static str)> {
    servers(extent).into_iter().map(|(name, region, _)| (name, region))
}

struct Server {
    name: &'static str,
    region: &'static str,
    zone: &'static str,
    id: String,
    /// Known once it listens.
    address: String,
    standing: Standing,
    seen: Timestamp,
}

impl Server {
    /// How it behaves: alone, with its zone, or with its region.
    fn condition(&self, faults: &Faults) -> Condition {
        faults.of_member(NEO4J, self.region, self.name, self.zone)
    }
}

/// Servers and databases. Indices are those of `servers`.
pub struct Cluster {
    servers: Vec<Server>,
    databases: Vec<Database>,
}

fn age(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

impl Cluster {
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let server = |(at, (name, region, zone)): (usize, (&'static str, &'static str, &'static str))| Server {
            name,
            region,
            zone,
            id: format!("5e1b0c{at:02x}-7d3a-4c58-9b1e-0000000000{:02x}", at + 1),
            address: format!("127.0.0.1:{}", 7687 + at),
            standing: Standing::Enabled,
            seen: now,
        };
        let primaries = || (0..SERVERS.len()).map(Host::primary).collect::<Vec<_>>();
        let databases = vec![
            Database::new(SYSTEM, primaries(), now),
            Database::new(DATABASE, primaries(), now),
            Database::new(ANALYTICS, vec![Host::primary(0), Host::secondary(1)], now),
        ];
        Self { servers: servers(extent).into_iter().enumerate().map(server).collect(), databases }
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        let up: Vec<bool> = (0..self.servers.len()).map(|at| self.is_up(at, tick.faults)).collect();
        for (server, up) in self.servers.iter_mut().zip(&up) {
            if *up {
                server.seen = tick.now;
            }
        }
        let regions: Vec<_> = self.servers.iter().map(|server| server.region).collect();
        let flows: Vec<bool> =
            self.servers.iter().zip(&up).map(|(it, up)| *up && it.condition(tick.faults).flows()).collect();
        for database in &mut self.databases {
            database.tick(&up, &flows, &regions, tick);
        }
    }

    /// A write by the application in `region`, at `at`: lands on the writer that this region uses.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn write(&mut self, region: &str, at: Timestamp, faults: &Faults) -> Result<(), String> {
        if !faults.reachable(NEO4J, region) {
            return Err(format!("Neo4j cannot be reached from {region}"));
        }
        let leader = self.database(DATABASE).and_then(|database| database.leader);
        let leader = leader.ok_or("the graph has no leader: it cannot be written to")?;
        if !self.is_up(leader, faults) {
            return Err(format!("{} leads the graph and cannot be reached", self.servers[leader].name));
        }
        self.commit(leader, DATABASE, at, faults).map_err(|failure| failure.message)
    }

    /// The newest write that the application in `region` can read from the copy it uses; `None` when that cannot be read.
    pub fn newest(&self, region: &str, faults: &Faults) -> Option<Timestamp> {
        let (database, server) = self.read_from(region, faults)?;
        database.host(server)?.newest
    }

    /// What the copy that the application in `region` uses holds of what was written until then; `None` when that cannot be told.
    pub fn held(&self, region: &str, until: Timestamp, faults: &Faults) -> Option<Held> {
        let (database, server) = self.read_from(region, faults)?;
        database.held(server, until)
    }

    /// The server that the application in `region` reads from: the leader, else one nearby.
    fn read_from(&self, region: &str, faults: &Faults) -> Option<(&Database, usize)> {
        let database = self.database(DATABASE).filter(|_| faults.reachable(NEO4J, region))?;
        let leader = database.leader.filter(|leader| self.is_up(*leader, faults));
        let near = || database.hosts.iter().find(|host| self.servers[host.server].region == region);
        Some((database, leader.or_else(|| near().map(|host| host.server))?))
    }

    /// A transaction at `server`.
    fn commit(&mut self, server: usize, name: &str, at: Timestamp, faults: &Faults) -> Result<(), Failure> {
        let up: Vec<bool> = (0..self.servers.len()).map(|at| self.is_up(at, faults)).collect();
        let Some(database) = self.databases.iter_mut().find(|database| database.name == name) else {
            return Err(not_found(name));
        };
        if database.leader != Some(server) {
            return Err(Failure::not_a_leader());
        }
        if !database.has_majority(&up) {
            let message = "Failed to replicate the transaction: no majority of the database's primaries answers.";
            return Err(Failure::new("Neo.TransientError.Cluster.ReplicationFailure", message));
        }
        database.commit(at);
        Ok(())
    }

    fn is_up(&self, server: usize, faults: &Faults) -> bool {
        self.servers[server].standing != Standing::Dropped && self.servers[server].condition(faults).linked()
    }

    fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Whether `server` hosts the database and it is online.
    fn serves(&self, server: usize, name: &str) -> Result<(), Failure> {
        let database = self.database(name).filter(|database| database.host(server).is_some());
        let database = database.ok_or_else(|| not_found(name))?;
        if database.online() {
            return Ok(());
        }
        let message = format!(
            "The database is not currently available to serve your request, refer to the database logs for more details. Database: {name}"
        );
        Err(Failure::new("Neo.TransientError.General.DatabaseUnavailable", message))
    }

    fn newest_at(&self, server: usize, name: &str) -> Option<Timestamp> {
        self.database(name)?.host(server)?.newest
    }

    /// Roles and addresses, as `ROUTE` answers.
    fn routes(&self, name: &str, faults: &Faults) -> Option<Vec<(&'static str, Vec<String>)>> {
        let database = self.database(name)?;
        let up = |server: &usize| self.is_up(*server, faults);
        let address = |server: usize| self.servers[server].address.clone();
        let hosts = || database.hosts.iter().map(|host| host.server).filter(up);
        let readers = hosts().filter(|server| database.leader != Some(*server)).map(address).collect();
        Some(vec![
            ("WRITE", database.leader.iter().copied().filter(up).map(address).collect()),
            ("READ", readers),
            ("ROUTE", (0..self.servers.len()).filter(up).map(address).collect()),
        ])
    }

    /// By name or id.
    fn server_named(&self, name: &str) -> Option<usize> {
        let known =
            |server: &Server| server.standing != Standing::Dropped && (server.name == name || server.id == name);
        self.servers.iter().position(known)
    }
}

fn not_found(name: &str) -> Failure {
    Failure::new("Neo.ClientError.Database.DatabaseNotFound", format!("Graph not found: {name}"))
}
