//! What a Redis server answers. <https://redis.io/docs/latest/commands/>

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::node::{Entry, Node, REPL_TIMEOUT};
use super::resp::Reply;
use super::{Deployment, NODE, age};
use crate::lab::world::{Tick, Truth};

/// The version that the lab plays.
pub const VERSION: &str = "7.0.15";

/// A command as it came, its name and subcommand in upper case.
pub struct Command<'a> {
    pub name: String,
    pub words: &'a [Vec<u8>],
}

impl<'a> Command<'a> {
    pub fn new(words: &'a [Vec<u8>]) -> Self {
        Self { name: words.first().map(|word| upper(word)).unwrap_or_default(), words }
    }
    pub fn word(&self, at: usize) -> Option<&'a [u8]> {
        self.words.get(at).map(Vec::as_slice)
    }
    pub fn text(&self, at: usize) -> String {
        self.word(at).map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default()
    }
    /// A subcommand or an option, in upper case.
    pub fn upper(&self, at: usize) -> String {
        self.word(at).map(upper).unwrap_or_default()
    }
    fn number(&self, at: usize) -> Option<u64> {
        self.text(at).parse().ok()
    }
    pub fn wrong_arity(&self) -> Reply {
        Reply::error(format!("ERR wrong number of arguments for '{}' command", self.name.to_lowercase()))
    }
    pub fn unknown(&self) -> Reply {
        let args: Vec<String> = (1..self.words.len()).map(|at| format!("'{}' ", self.text(at))).collect();
        Reply::error(format!("ERR unknown command '{}', with args beginning with: {}", self.text(0), args.concat()))
    }
}

fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

/// Answers at server `at`.
pub fn answer(truth: &mut Truth, at: usize, command: &Command<'_>, tick: &Tick<'_>) -> Reply {
    let redis = &mut truth.redis;
    match command.name.as_str() {
        "GET" => match command.word(1) {
            Some(key) => redis.nodes[at].data.get(key, tick.now).map_or(Reply::Null, |e| Reply::Bulk(e.value.clone())),
            None => command.wrong_arity(),
        },
        "TTL" | "PTTL" => ttl(&redis.nodes[at], command, tick.now),
        "EXISTS" => {
            let keys = command.words.iter().skip(1);
            Reply::Integer(keys.filter(|key| redis.nodes[at].data.get(key, tick.now).is_some()).count() as i64)
        }
        "DBSIZE" => Reply::Integer(redis.nodes[at].data.len(tick.now) as i64),
        "ROLE" => role(redis, at, tick),
        "INFO" => Reply::text(info(redis, at, &command.text(1).to_lowercase(), tick)),
        "SET" | "DEL" if redis.nodes[at].is_master() && redis.lacks_replicas(at) => {
            Reply::error("NOREPLICAS Not enough good replicas to write.")
        }
        // It changes nothing, so there is nothing to record.
        "SET" if only_tries(&redis.nodes[at], command, tick.now) => Reply::Null,
        "SET" | "DEL" => {
            let (reply, target) = (write(&mut redis.nodes[at], command, tick.now), command.text(1));
            recorded(truth, at, command.name.clone(), &target, reply)
        }
        "ACL" => acl(command),
        "CONFIG" => config(truth, at, command, tick),
        "REPLICAOF" | "SLAVEOF" => replicaof(truth, at, command, tick.now),
        _ => command.unknown(),
    }
}

/// `SET … XX` of a key that is not there, at a server that would take it.
fn only_tries(node: &Node, command: &Command<'_>, now: Timestamp) -> bool {
    let is_there = command.word(1).is_some_and(|key| node.data.get(key, now).is_some());
    node.is_master() && !is_there && (3..command.words.len()).any(|at| command.upper(at) == "XX")
}

/// Whether a command waits for the end of a pause.
pub fn waits(truth: &Truth, at: usize, command: &Command<'_>, now: Timestamp) -> bool {
    matches!(command.name.as_str(), "SET" | "DEL") && truth.redis.nodes[at].is_paused(now)
}

/// `CLIENT PAUSE milliseconds WRITE` and `CLIENT UNPAUSE`; `None` for what is no such command.
pub fn pause(truth: &mut Truth, at: usize, command: &Command<'_>, now: Timestamp) -> Option<Reply> {
    let until = match command.upper(1).as_str() {
        "UNPAUSE" => None,
        "PAUSE" if command.upper(3) != "WRITE" => return Some(Reply::error("ERR the lab holds back writes only")),
        "PAUSE" => match command.number(2) {
            Some(millis) => now.saturating_add(Duration::from_millis(millis)).ok(),
            None => return Some(Reply::error("ERR timeout is not an integer or out of range")),
        },
        _ => return None,
    };
    let before = std::mem::replace(&mut truth.redis.nodes[at].paused, until);
    if before.is_none() && until.is_none() {
        return Some(Reply::OK);
    }
    Some(recorded(truth, at, format!("CLIENT {}", command.upper(1)), "", Reply::OK))
}

fn recorded(truth: &mut Truth, at: usize, action: String, target: &str, reply: Reply) -> Reply {
    let place = format!("{NODE}@{}", truth.redis.nodes[at].region);
    truth.record(&place, &action, target, !matches!(reply, Reply::Error(_)));
    reply
}

fn ttl(node: &Node, command: &Command<'_>, now: Timestamp) -> Reply {
    let entry = command.word(1).and_then(|key| node.data.get(key, now));
    Reply::Integer(match entry.map(|entry| entry.expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let left = age(now, at).as_millis() as i64;
            if command.name == "TTL" { (left + 500) / 1000 } else { left }
        }
    })
}

fn write(node: &mut Node, command: &Command<'_>, now: Timestamp) -> Reply {
    let Some(key) = command.word(1) else { return command.wrong_arity() };
    if !node.is_master() {
        return Reply::error("READONLY You can't write against a read only replica.");
    }
    if command.name == "DEL" {
        let found: Vec<_> = command.words[1..].iter().filter(|key| node.data.get(key, now).is_some()).collect();
        found.iter().for_each(|key| node.data.put(key, None, now));
        return Reply::Integer(found.len() as i64);
    }
    let Some(value) = command.word(2) else { return command.wrong_arity() };
    let (mut expires, mut only_new, mut only_old, mut next) = (None, false, false, 3);
    while next < command.words.len() {
        let lasts = |unit: u64| command.number(next + 1).filter(|n| *n > 0).map(|n| Duration::from_millis(n * unit));
        match command.upper(next).as_str() {
            "NX" => only_new = true,
            "XX" => only_old = true,
            option @ ("EX" | "PX") => {
                let unit = if option == "EX" { 1000 } else { 1 };
                let Some(span) = lasts(unit) else { return Reply::error("ERR invalid expire time in 'set' command") };
                expires = now.saturating_add(span).ok();
                next += 1;
            }
            _ => return Reply::error("ERR syntax error"),
        }
        next += 1;
    }
    let exists = node.data.get(key, now).is_some();
    if (only_new && exists) || (only_old && !exists) {
        return Reply::Null;
    }
    node.data.put(key, Some(Entry { value: value.to_vec(), expires }), now);
    Reply::OK
}

/// Whoever is let in may do everything here.
pub fn acl(command: &Command<'_>) -> Reply {
    match command.upper(1).as_str() {
        "WHOAMI" => Reply::text("default".to_owned()),
        "DRYRUN" => Reply::OK,
        _ => Reply::error("ERR unknown subcommand. Try ACL HELP."),
    }
}

fn config(truth: &mut Truth, at: usize, command: &Command<'_>, tick: &Tick<'_>) -> Reply {
    let node = &mut truth.redis.nodes[at];
    match (command.upper(1).as_str(), command.text(2).to_lowercase().as_str()) {
        ("GET", "replica-priority" | "slave-priority") => {
            Reply::Map(vec![("replica-priority", Reply::text(node.priority.to_string()))])
        }
        ("GET", "repl-timeout") => {
            Reply::Map(vec![("repl-timeout", Reply::text(tick.pace.scale(REPL_TIMEOUT).as_secs().max(1).to_string()))])
        }
        ("GET", name @ ("min-replicas-to-write" | "min-slaves-to-write")) => {
            let key = if name.contains("slaves") { "min-slaves-to-write" } else { "min-replicas-to-write" };
            Reply::Map(vec![(key, Reply::text(node.min_replicas.to_string()))])
        }
        ("GET", "save") => Reply::Map(vec![("save", Reply::text("60 1".to_owned()))]),
        ("GET", _) => Reply::Map(vec![]),
        ("SET", name @ ("replica-priority" | "slave-priority" | "min-replicas-to-write" | "min-slaves-to-write")) => {
            let name = name.to_owned();
            let reply = match command.number(3) {
                Some(number) => {
                    let setting = if name.starts_with("min") { &mut node.min_replicas } else { &mut node.priority };
                    *setting = number;
                    Reply::OK
                }
                None => Reply::error("ERR CONFIG SET failed - argument couldn't be parsed into an integer"),
            };
            recorded(truth, at, "CONFIG SET".into(), &name, reply)
        }
        ("SET", name) => Reply::error(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")),
        _ => Reply::error("ERR unknown subcommand. Try CONFIG HELP."),
    }
}

fn replicaof(truth: &mut Truth, at: usize, command: &Command<'_>, now: Timestamp) -> Reply {
    let [_, host, port] = command.words else { return command.wrong_arity() };
    let host = String::from_utf8_lossy(host).into_owned();
    let target = format!("{host} {}", String::from_utf8_lossy(port));
    let reply = if target.eq_ignore_ascii_case("no one") {
        let history = truth.redis.next_history();
        truth.redis.nodes[at].promote(history);
        Reply::OK
    } else if let Some(port) = command.number(2).and_then(|port| u16::try_from(port).ok()) {
        truth.redis.nodes[at].follow(&host, port, now);
        Reply::OK
    } else {
        Reply::error("ERR Invalid master port")
    };
    let target = format!("{} {target}", truth.redis.nodes[at].name);
    recorded(truth, at, "REPLICAOF".into(), &target, reply)
}

/// The replicas that are linked to server `at`, with the whole seconds since their last acknowledgement.
fn replicas<'a>(redis: &'a Deployment, at: usize, tick: &'a Tick<'_>) -> impl Iterator<Item = (&'a Node, u64)> {
    let port = redis.nodes[at].port;
    redis.nodes.iter().filter_map(move |node| {
        let up = node.upstream.as_ref().filter(|up| up.port == port)?;
        let silent = age(up.last_io?, tick.now);
        (up.synced && silent < tick.pace.scale(REPL_TIMEOUT)).then_some((node, silent.as_secs()))
    })
}

fn role(redis: &Deployment, at: usize, tick: &Tick<'_>) -> Reply {
    let node = &redis.nodes[at];
    let offset = |node: &Node| node.data.offset;
    match &node.upstream {
        None => {
            let replica = |(replica, _): (&Node, u64)| {
                let texts = [super::HOST.to_owned(), replica.port.to_string(), offset(replica).to_string()];
                Reply::Array(texts.map(Reply::text).into())
            };
            let replicas = replicas(redis, at, tick).map(replica).collect();
            Reply::Array(vec![Reply::text("master"), Reply::Integer(offset(node) as i64), Reply::Array(replicas)])
        }
        Some(up) => Reply::Array(vec![
            Reply::text("slave"),
            Reply::text(up.host.clone()),
            Reply::Integer(up.port.into()),
            Reply::text(if node.link_up() { "connected" } else { "connect" }),
            Reply::Integer(if node.link_up() { offset(node) as i64 } else { -1 }),
        ]),
    }
}

fn info(redis: &Deployment, at: usize, section: &str, tick: &Tick<'_>) -> String {
    let node = &redis.nodes[at];
    let mut out = String::new();
    let wanted = |name: &str| matches!(section, "" | "all" | "default" | "everything") || section == name;
    if wanted("server") {
        let up = age(node.started, tick.now).as_secs();
        let _ = write!(
            out,
            "# Server\r\nredis_version:{VERSION}\r\nredis_mode:standalone\r\nrun_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{up}\r\n\r\n",
            node.run_id, node.port
        );
    }
    if wanted("replication") {
        out.push_str(&info_replication(redis, at, tick));
    }
    if wanted("persistence") {
        let saved = node.saved.as_second();
        let _ = write!(
            out,
            "# Persistence\r\nloading:0\r\nrdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\nrdb_last_save_time:{saved}\r\nrdb_last_bgsave_status:ok\r\nrdb_saves:{}\r\naof_enabled:0\r\n\r\n",
            node.saves
        );
    }
    if wanted("memory") {
        out.push_str("# Memory\r\nused_memory:1048576\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\r\n");
    }
    if wanted("keyspace") {
        let _ = write!(out, "# Keyspace\r\ndb0:keys={},expires=0,avg_ttl=0\r\n", node.data.len(tick.now));
    }
    out
}

fn info_replication(redis: &Deployment, at: usize, tick: &Tick<'_>) -> String {
    let node = &redis.nodes[at];
    let mut lines = vec!["# Replication".to_owned()];
    match &node.upstream {
        None => lines.push("role:master".into()),
        Some(up) => {
            let heard = up.last_io.filter(|_| up.down_since.is_none()).map(|heard| age(heard, tick.now).as_secs());
            lines.push("role:slave".into());
            lines.push(format!("master_host:{}", up.host));
            lines.push(format!("master_port:{}", up.port));
            lines.push(format!("master_link_status:{}", if node.link_up() { "up" } else { "down" }));
            lines.push(format!("master_last_io_seconds_ago:{}", heard.map_or(-1, |heard| heard as i64)));
            lines.push(format!("master_sync_in_progress:{}", u8::from(!up.synced && up.down_since.is_none())));
            lines.push(format!("slave_read_repl_offset:{0}\r\nslave_repl_offset:{0}", node.data.offset));
            if let Some(since) = up.down_since {
                lines.push(format!("master_link_down_since_seconds:{}", age(since, tick.now).as_secs()));
            }
            lines.push(format!("slave_priority:{}\r\nslave_read_only:1\r\nreplica_announced:1", node.priority));
        }
    }
    let replicas: Vec<_> = replicas(redis, at, tick).collect();
    lines.push(format!("connected_slaves:{}", replicas.len()));
    for (index, (replica, lag)) in replicas.iter().enumerate() {
        let (port, offset) = (replica.port, replica.data.offset);
        lines.push(format!("slave{index}:ip={},port={port},state=online,offset={offset},lag={lag}", super::HOST));
    }
    lines.push("master_failover_state:no-failover".into());
    lines.push(format!("master_replid:{}", super::hex_id(node.data.history + 300)));
    lines.push(format!("master_repl_offset:{}", node.data.offset));
    lines.join("\r\n") + "\r\n\r\n"
}
