//! Commands that change the cluster: they go through the leader of the system database.

use super::database::{Database, Host};
use super::packstream::Value;
use super::query::{Answer, Failure, Words, call};
use super::{Cluster, SYSTEM, Standing, not_found};
use crate::lab::world::Tick;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Cordon(String),
    Enable(String),
    Recreate { database: String, options: Value },
    Deallocate { servers: Vec<String>, dry_run: bool },
    Drop(String),
    SetOnline { database: String, online: bool },
    Topology { database: String, primaries: usize, secondaries: usize },
}

impl Command {
    pub fn action(&self) -> &'static str {
        match self {
            Self::Cordon(_) => "cordonServer",
            Self::Enable(_) => "ENABLE SERVER",
            Self::Recreate { .. } => "recreateDatabase",
            Self::Deallocate { .. } => "DEALLOCATE DATABASES",
            Self::Drop(_) => "DROP SERVER",
            Self::SetOnline { online: true, .. } => "START DATABASE",
            Self::SetOnline { online: false, .. } => "STOP DATABASE",
            Self::Topology { .. } => "ALTER DATABASE",
        }
    }
    pub fn target(&self) -> String {
        match self {
            Self::Cordon(name) | Self::Enable(name) | Self::Drop(name) => name.clone(),
            Self::Deallocate { servers, .. } => servers.join(", "),
            Self::Recreate { database, .. } | Self::SetOnline { database, .. } | Self::Topology { database, .. } => {
                database.clone()
            }
        }
    }
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Self::Deallocate { dry_run: true, .. })
    }
}

/// The command that comes next, or `None` if this is something else.
pub fn parse(words: &mut Words) -> Result<Option<Command>, Failure> {
    let named = |arguments: &[Value]| arguments.first().and_then(Value::text).map(str::to_owned);
    let missing = || Failure::argument("a name is missing");
    if let Some(arguments) = call(words, "dbms.cluster.cordonServer")? {
        return named(&arguments).map(Command::Cordon).map(Some).ok_or_else(missing);
    }
    for name in ["dbms.recreateDatabase", "dbms.cluster.recreateDatabase"] {
        if let Some(arguments) = call(words, name)? {
            let database = named(&arguments).ok_or_else(missing)?;
            let options = arguments.into_iter().nth(1).unwrap_or(Value::Null);
            return Ok(Some(Command::Recreate { database, options }));
        }
    }
    if words.skip("ENABLE SERVER") {
        return words.name().map(Command::Enable).map(Some).ok_or_else(missing);
    }
    if words.skip("DROP SERVER") {
        return words.name().map(Command::Drop).map(Some).ok_or_else(missing);
    }
    let dry_run = words.skip("DRYRUN");
    if words.skip("DEALLOCATE DATABASES FROM") || words.skip("DEALLOCATE DATABASE FROM") {
        if !words.skip("SERVERS") {
            words.skip("SERVER");
        }
        let mut servers = vec![words.name().ok_or_else(missing)?];
        while words.skip(",") {
            servers.push(words.name().ok_or_else(missing)?);
        }
        return Ok(Some(Command::Deallocate { servers, dry_run }));
    }
    for (phrase, online) in [("START DATABASE", true), ("STOP DATABASE", false)] {
        if words.skip(phrase) {
            let database = words.name().ok_or_else(missing)?;
            return Ok(Some(Command::SetOnline { database, online }));
        }
    }
    if words.skip("ALTER DATABASE") {
        return topology(words).map(Some).ok_or_else(|| Failure::argument("only SET TOPOLOGY is known"));
    }
    Ok(None)
}

/// `name SET TOPOLOGY n PRIMARIES [m SECONDARIES]`
fn topology(words: &mut Words) -> Option<Command> {
    let database = words.name()?;
    words.skip("SET TOPOLOGY").then_some(())?;
    let count = |words: &mut Words| words.value().as_ref().and_then(Value::int).and_then(|n| usize::try_from(n).ok());
    let primaries = count(words)?;
    (words.skip("PRIMARIES") || words.skip("PRIMARY")).then_some(())?;
    let secondaries = if words.done() { 0 } else { count(words)? };
    Some(Command::Topology { database, primaries, secondaries })
}

/// Carries out a command at `server`.
pub fn execute(cluster: &mut Cluster, server: usize, command: Command, tick: &Tick<'_>) -> Result<Answer, Failure> {
    let system = cluster.database(SYSTEM);
    let up: Vec<bool> = (0..cluster.servers.len()).map(|at| cluster.is_up(at, tick.faults)).collect();
    if system.is_none_or(|system| system.leader != Some(server) || !system.has_majority(&up)) {
        return Err(Failure::not_a_leader());
    }
    match command {
        Command::Cordon(name) => {
            let at = cluster.server_named(&name).ok_or_else(|| no_server(&name))?;
            if cluster.servers[at].standing == Standing::Enabled {
                cluster.servers[at].standing = Standing::Cordoned;
            }
        }
        Command::Enable(name) => {
            let at = cluster.server_named(&name).ok_or_else(|| no_server(&name))?;
            cluster.servers[at].standing = Standing::Enabled;
        }
        Command::Recreate { database, options } => recreate(cluster, &database, &options, &up, tick)?,
        Command::Deallocate { servers, dry_run } => return deallocate(cluster, &servers, dry_run, &up),
        Command::Drop(name) => {
            let at = cluster.server_named(&name).ok_or_else(|| no_server(&name))?;
            if cluster.servers[at].standing != Standing::Deallocated {
                let message =
                    format!("Could not drop server '{name}'. Server must be in state 'Deallocated' to be dropped.");
                return Err(Failure::argument(message));
            }
            drop_server(cluster, at);
        }
        Command::SetOnline { database, online } => user_database(cluster, &database)?.requested_online = online,
        Command::Topology { database, primaries, secondaries } => {
            let database = user_database(cluster, &database)?;
            reshape(database, primaries, secondaries, &up)?;
        }
    }
    Ok(Answer::written())
}

fn no_server(name: &str) -> Failure {
    Failure::argument(format!("Server '{name}' not found."))
}

fn user_database<'a>(cluster: &'a mut Cluster, name: &str) -> Result<&'a mut Database, Failure> {
    let found = cluster.databases.iter_mut().find(|database| database.name == name);
    found.filter(|database| database.name != SYSTEM).ok_or_else(|| not_found(name))
}

/// The system database is hosted by every server, so it shrinks with them.
fn drop_server(cluster: &mut Cluster, at: usize) {
    cluster.servers[at].standing = Standing::Dropped;
    for database in cluster.databases.iter_mut().filter(|database| database.name == SYSTEM) {
        database.hosts.retain(|host| host.server != at);
        database.primaries = database.hosts.len();
    }
}

/// From the newest store among the seeding servers, or among all that are available if none is named. What only a lost server held
/// is gone.
fn recreate(cluster: &mut Cluster, name: &str, options: &Value, up: &[bool], tick: &Tick<'_>) -> Result<(), Failure> {
    let options = options.map().cloned().unwrap_or_default();
    let named: Vec<String> = match options.get("seedingServers") {
        Some(Value::List(names)) => names.iter().filter_map(Value::text).map(str::to_owned).collect(),
        _ => return Err(Failure::argument("The lab seeds from servers only: give seedingServers, or an empty list.")),
    };
    let seeds: Vec<usize> = named.iter().filter_map(|name| cluster.server_named(name)).collect();
    let usable: Vec<usize> =
        (0..up.len()).filter(|at| up[*at] && cluster.servers[*at].standing == Standing::Enabled).collect();
    let database = user_database(cluster, name)?;
    let count = |key: &str, else_: usize| options.get(key).and_then(Value::int).map_or(else_, |n| n.max(0) as usize);
    let (primaries, secondaries) = (count("primaries", database.primaries), count("secondaries", database.secondaries));
    let may_seed = |host: &&Host| up[host.server] && (named.is_empty() || seeds.contains(&host.server));
    let Some(seed) = database.hosts.iter().filter(may_seed).max_by_key(|host| host.applied).map(|host| host.server)
    else {
        return Err(Failure::argument(format!("No available seeding server holds a store of '{name}'.")));
    };
    if usable.len() < primaries + secondaries || primaries == 0 {
        let message = format!(
            "Could not recreate database '{name}'. Desired number of allocations: {primaries} primaries and {secondaries} \
             secondaries. Number of available servers: {}.",
            usable.len()
        );
        return Err(Failure::argument(message));
    }
    let mut order = usable;
    order.sort_by_key(|at| *at != seed);
    let host = |(index, at): (usize, usize)| if index < primaries { Host::primary(at) } else { Host::secondary(at) };
    let hosts = order.into_iter().take(primaries + secondaries).enumerate().map(host).collect();
    (database.primaries, database.secondaries) = (primaries, secondaries);
    database.recreate(seed, hosts, tick);
    Ok(())
}

/// Moves the databases of `names` elsewhere, or only says where.
fn deallocate(cluster: &mut Cluster, names: &[String], dry_run: bool, up: &[bool]) -> Result<Answer, Failure> {
    let mut from = Vec::new();
    for name in names {
        from.push(cluster.server_named(name).ok_or_else(|| no_server(name))?);
    }
    let targets: Vec<usize> = (0..up.len())
        .filter(|at| up[*at] && cluster.servers[*at].standing == Standing::Enabled && !from.contains(at))
        .collect();
    let mut moves = Vec::new();
    for (index, database) in cluster.databases.iter().enumerate().filter(|(_, it)| it.name != SYSTEM) {
        let mut free = targets.iter().filter(|at| database.host(**at).is_none());
        for (at, host) in database.hosts.iter().enumerate().filter(|(_, host)| from.contains(&host.server)) {
            let target = free.next().ok_or_else(|| cannot_move(database, names))?;
            moves.push((index, at, host.server, *target));
        }
        let quorum = database.leader.is_some_and(|leader| up[leader]) && database.has_majority(up);
        if !quorum && moves.iter().any(|(moved, ..)| *moved == index) {
            let message = format!(
                "Could not deallocate server(s) '{}'. Database {} has lost quorum of servers. Cannot be safely reallocated.",
                names.join(", "),
                database.name
            );
            return Err(Failure::argument(message));
        }
    }
    const COLUMNS: [&str; 6] = ["database", "fromServerName", "fromServerId", "toServerName", "toServerId", "mode"];
    if dry_run {
        let row = |(index, at, from, to): &(usize, usize, usize, usize)| {
            let database = &cluster.databases[*index];
            let (from, to) = (&cluster.servers[*from], &cluster.servers[*to]);
            let mode = if database.hosts[*at].primary { "primary" } else { "secondary" };
            let cells = [database.name, from.name, &from.id, to.name, &to.id, mode];
            cells.into_iter().map(Value::from).collect()
        };
        return Ok(Answer::new(&COLUMNS, moves.iter().map(row).collect()));
    }
    for (index, at, _, to) in moves {
        let database = &mut cluster.databases[index];
        // The newcomer copies a store before it counts; in the lab that takes no time.
        let (applied, newest) = (database.committed, database.hosts.iter().filter_map(|host| host.newest).max());
        database.hosts[at] = Host { server: to, applied, newest, ..database.hosts[at].clone() };
    }
    from.iter().for_each(|at| cluster.servers[*at].standing = Standing::Deallocated);
    Ok(Answer::written())
}

fn cannot_move(database: &Database, names: &[String]) -> Failure {
    Failure::argument(format!(
        "Could not deallocate server(s) '{}'. Unable to reallocate '{}.*'. Required topology for '{}.*' is {} primaries and {} \
         secondaries. Consider running SHOW SERVERS to determine what action is suitable to resolve this issue.",
        names.join(", "),
        database.name,
        database.name,
        database.primaries,
        database.secondaries
    ))
}

/// Hosts that are too many go: the unavailable first, the leader last.
fn reshape(database: &mut Database, primaries: usize, secondaries: usize, up: &[bool]) -> Result<(), Failure> {
    if primaries == 0 || primaries + secondaries > database.hosts.len() {
        return Err(Failure::argument(format!("Could not alter database '{}': not enough servers.", database.name)));
    }
    if database.leader.is_none() {
        return Err(Failure::not_a_leader());
    }
    let leader = database.leader;
    database.hosts.sort_by_key(|host| (leader != Some(host.server), !up[host.server], u64::MAX - host.applied));
    database.hosts.truncate(primaries + secondaries);
    for (at, host) in database.hosts.iter_mut().enumerate() {
        host.primary = at < primaries;
    }
    (database.primaries, database.secondaries) = (primaries, secondaries);
    Ok(())
}
