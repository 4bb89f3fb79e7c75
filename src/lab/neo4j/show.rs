//! What the cluster shows of itself. Columns are those of Neo4j 2025; a server that is gone contributes no rows, so a database whose
//! hosts are all gone vanishes.

use super::packstream::Value;
use super::query::{Answer, Failure};
use super::{Cluster, DATABASE, SYSTEM, Standing, UNAVAILABLE_AFTER, age};
use crate::lab::world::Tick;

type Row = Vec<(&'static str, Value)>;

/// Rows as a table: the columns that were asked for, all of them (`YIELD *`), or the usual ones.
fn table(rows: Vec<Row>, all: &[&'static str], usual: &[&str], yields: Option<Vec<String>>) -> Result<Answer, Failure> {
    let columns: Vec<String> = match yields {
        None => usual.iter().map(|column| (*column).to_owned()).collect(),
        Some(columns) if columns.is_empty() => all.iter().map(|column| (*column).to_owned()).collect(),
        Some(columns) => columns,
    };
    if let Some(unknown) = columns.iter().find(|column| !all.contains(&column.as_str())) {
        let message = format!("Variable `{unknown}` not defined");
        return Err(Failure::new("Neo.ClientError.Statement.SyntaxError", message));
    }
    let cell = |row: &Row, column: &String| {
        row.iter().find(|(name, _)| name == column).map_or(Value::Null, |(_, value)| value.clone())
    };
    let rows = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    Ok(Answer { columns, rows, writes: false })
}

fn texts(items: impl Iterator<Item = &'static str>) -> Value {
    Value::List(items.map(Value::from).collect())
}

/// `SHOW SERVERS`
pub fn servers(cluster: &Cluster, yields: Option<Vec<String>>, tick: &Tick<'_>) -> Result<Answer, Failure> {
    const ALL: [&str; 9] =
        ["serverId", "name", "address", "state", "health", "hosting", "requestedHosting", "tags", "version"];
    const USUAL: [&str; 5] = ["name", "address", "state", "health", "hosting"];
    let servers = cluster.servers.iter().enumerate().filter(|(_, server)| server.standing != Standing::Dropped);
    let row = |(at, server): (usize, &super::Server)| {
        let available =
            age(server.seen, tick.now) <= tick.pace.scale(UNAVAILABLE_AFTER) || server.condition(tick.faults).linked();
        let hosted = || cluster.databases.iter().filter(|it| it.host(at).is_some()).map(|it| it.name);
        vec![
            ("serverId", server.id.clone().into()),
            ("name", server.name.into()),
            ("address", server.address.clone().into()),
            ("state", server.standing.word().into()),
            ("health", if available { "Available" } else { "Unavailable" }.into()),
            ("hosting", if available { texts(hosted()) } else { Value::List(vec![]) }),
            ("requestedHosting", texts(hosted())),
            ("tags", Value::List(vec![])),
            ("version", if available { super::VERSION.into() } else { Value::Null }),
        ]
    };
    table(servers.map(row).collect(), &ALL, &USUAL, yields)
}

/// `SHOW DATABASES`, or one: a row for each database and server.
pub fn databases(
    cluster: &Cluster,
    only: Option<&str>,
    yields: Option<Vec<String>>,
    tick: &Tick<'_>,
) -> Result<Answer, Failure> {
    const ALL: [&str; 18] = [
        "name",
        "type",
        "aliases",
        "access",
        "databaseID",
        "serverID",
        "address",
        "role",
        "writer",
        "requestedStatus",
        "currentStatus",
        "statusMessage",
        "default",
        "home",
        "currentPrimariesCount",
        "requestedPrimariesCount",
        "lastCommittedTxn",
        "replicationLag",
    ];
    const USUAL: [&str; 11] = [
        "name",
        "type",
        "aliases",
        "access",
        "address",
        "role",
        "writer",
        "requestedStatus",
        "currentStatus",
        "statusMessage",
        "default",
    ];
    let mut rows: Vec<Row> = Vec::new();
    for database in cluster.databases.iter().filter(|it| only.is_none_or(|only| only == it.name)) {
        let leads = |server: usize| database.leader == Some(server);
        let alive = database.hosts.iter().filter(|host| cluster.is_up(host.server, tick.faults));
        let primaries = alive.clone().filter(|host| host.primary).count() as i64;
        for host in alive {
            let server = &cluster.servers[host.server];
            let kind = if database.name == SYSTEM { "system" } else { "standard" };
            let status = match (database.requested_online, database.online()) {
                (_, true) => "online",
                (true, false) => "starting",
                (false, false) => "offline",
            };
            // Counted in transactions, and downwards.
            let lag = host.applied.cast_signed() - database.committed.cast_signed();
            rows.push(vec![
                ("name", database.name.into()),
                ("type", kind.into()),
                ("aliases", Value::List(vec![])),
                ("access", "read-write".into()),
                ("databaseID", database.id.clone().into()),
                ("serverID", server.id.clone().into()),
                ("address", server.address.clone().into()),
                ("role", if host.primary { "primary" } else { "secondary" }.into()),
                ("writer", leads(host.server).into()),
                ("requestedStatus", if database.requested_online { "online" } else { "offline" }.into()),
                ("currentStatus", status.into()),
                ("statusMessage", "".into()),
                ("default", (database.name == DATABASE).into()),
                ("home", (database.name == DATABASE).into()),
                ("currentPrimariesCount", primaries.into()),
                ("requestedPrimariesCount", (database.primaries as i64).into()),
                ("lastCommittedTxn", host.applied.cast_signed().into()),
                ("replicationLag", lag.into()),
            ]);
        }
    }
    table(rows, &ALL, &USUAL, yields)
}

/// `CALL dbms.cluster.statusCheck(databases, timeout)`: a dummy transaction through the primaries of every database that `server` is
/// a primary of. Databases with a single primary are not clustered and are left out.
pub fn status_check(
    cluster: &Cluster,
    server: usize,
    only: Option<&Value>,
    tick: &Tick<'_>,
) -> Result<Answer, Failure> {
    const ALL: [&str; 10] = [
        "database",
        "serverId",
        "serverName",
        "address",
        "replicationSuccessful",
        "memberStatus",
        "recognisedLeader",
        "recognisedLeaderTerm",
        "requester",
        "error",
    ];
    let wanted: Vec<&str> = match only {
        Some(Value::List(names)) => names.iter().filter_map(Value::text).collect(),
        _ => return Err(Failure::argument("statusCheck takes a list of databases")),
    };
    let up: Vec<bool> = (0..cluster.servers.len()).map(|at| cluster.is_up(at, tick.faults)).collect();
    let mut rows = Vec::new();
    for database in cluster.databases.iter().filter(|it| wanted.is_empty() || wanted.contains(&it.name)) {
        let mine = database.host(server).is_some_and(|host| host.primary);
        if !mine || database.primaries < 2 {
            continue;
        }
        let leader = database.leader.filter(|leader| up[*leader]);
        let replicates = database.online() && leader.is_some() && database.has_majority(&up);
        for host in database.hosts.iter().filter(|host| host.primary) {
            let member = &cluster.servers[host.server];
            let status = if up[host.server] && database.online() { "APPLYING" } else { "UNAVAILABLE" };
            let recognised = leader.filter(|_| up[host.server]).map(|leader| cluster.servers[leader].id.clone());
            let term = if recognised.is_some() { Value::Int(database.term) } else { Value::Null };
            rows.push(vec![
                ("database", database.name.into()),
                ("serverId", member.id.clone().into()),
                ("serverName", member.name.into()),
                ("address", member.address.clone().into()),
                ("replicationSuccessful", replicates.into()),
                ("memberStatus", status.into()),
                ("recognisedLeader", recognised.map_or(Value::Null, Value::from)),
                ("recognisedLeaderTerm", term),
                ("requester", (host.server == server).into()),
                ("error", Value::Null),
            ]);
        }
    }
    table(rows, &ALL, &ALL, None)
}
