//! What a Sentinel answers. <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-commands>

use super::commands::{Command, VERSION};
use super::resp::Reply;
use super::sentinel::{DOWN_AFTER, FAILOVER_TIMEOUT, QUORUM, Sentinel, quorum_and_majority};
use super::{Deployment, HOST, MASTER_NAME, SENTINEL, age};
use crate::lab::world::{Tick, Truth};

/// Answers at Sentinel `at`.
pub fn answer(truth: &mut Truth, at: usize, command: &Command<'_>, tick: &Tick<'_>) -> Reply {
    match command.name.as_str() {
        "SENTINEL" => subcommand(truth, at, command, tick),
        "ACL" => super::commands::acl(command),
        "INFO" => Reply::text(info(&truth.redis, at, &command.text(1).to_lowercase(), tick)),
        "ROLE" => Reply::Array(vec![Reply::text("sentinel"), Reply::Array(vec![Reply::text(MASTER_NAME)])]),
        _ => command.unknown(),
    }
}

fn subcommand(truth: &mut Truth, at: usize, command: &Command<'_>, tick: &Tick<'_>) -> Reply {
    let redis = &mut truth.redis;
    let own = &redis.sentinels[at];
    let sub = command.upper(1);
    match sub.as_str() {
        "MASTERS" => return Reply::Array(vec![master(redis, at, tick)]),
        "MYID" => return Reply::text(own.run_id.clone()),
        "GET-MASTER-ADDR-BY-NAME" if command.text(2) != MASTER_NAME => return Reply::Null,
        "RESET" => return reset(truth, at, command),
        "MASTER" | "REPLICAS" | "SLAVES" | "SENTINELS" | "CKQUORUM" | "FAILOVER" | "GET-MASTER-ADDR-BY-NAME" => {}
        _ => return Reply::error(format!("ERR unknown subcommand '{}'. Try SENTINEL HELP.", command.text(1))),
    }
    if command.text(2) != MASTER_NAME {
        return Reply::error("ERR No such master with that name");
    }
    match sub.as_str() {
        "MASTER" => master(redis, at, tick),
        "REPLICAS" | "SLAVES" => {
            let replicas = (0..redis.nodes.len()).filter(|node| *node != own.master);
            Reply::Array(replicas.map(|node| replica(redis, at, node, tick)).collect())
        }
        "SENTINELS" => {
            let others = (0..redis.sentinels.len()).filter(|other| *other != at);
            Reply::Array(others.map(|other| sentinel(redis, at, other, tick)).collect())
        }
        "CKQUORUM" => ckquorum(redis.usable(own, tick)),
        "FAILOVER" => failover(truth, at, tick),
        _ => {
            let (host, port) = redis.address(own.master);
            Reply::Array(vec![Reply::text(host), Reply::text(port.to_string())])
        }
    }
}

fn ckquorum(usable: usize) -> Reply {
    match quorum_and_majority(usable) {
        (true, true) => {
            Reply::text(format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))
        }
        (quorum, majority) => {
            let reaches = |enough: bool, what: &str| if enough { String::new() } else { format!(" {what}.") };
            Reply::error(format!(
                "NOQUORUM {usable} usable Sentinels.{}{}",
                reaches(quorum, "Not enough available Sentinels to reach the specified quorum for this master"),
                reaches(majority, "Not enough available Sentinels to reach the majority and authorize a failover"),
            ))
        }
    }
}

/// Without asking for anybody's agreement, as Redis does it.
fn failover(truth: &mut Truth, at: usize, tick: &Tick<'_>) -> Reply {
    let reply = if truth.redis.sentinels[at].failover.is_some() {
        Reply::error("INPROG Failover already in progress")
    } else if truth.redis.begin_failover(at, tick) {
        Reply::OK
    } else {
        Reply::error("NOGOODSLAVE No suitable replica to promote")
    };
    record(truth, at, "SENTINEL FAILOVER", reply)
}

fn reset(truth: &mut Truth, at: usize, command: &Command<'_>) -> Reply {
    let fits = matches!(command.text(2).as_str(), "*" | MASTER_NAME);
    if fits {
        truth.redis.sentinels[at].failover = None;
    }
    record(truth, at, "SENTINEL RESET", Reply::Integer(fits.into()))
}

fn record(truth: &mut Truth, at: usize, action: &str, reply: Reply) -> Reply {
    let place = format!("{SENTINEL}@{}", truth.redis.sentinels[at].region);
    truth.record(&place, action, MASTER_NAME, !matches!(reply, Reply::Error(_)));
    reply
}

/// The fields that all three kinds of entries begin with.
fn common(
    name: String,
    port: u16,
    run_id: &str,
    flags: &str,
    silent_ms: u128,
    tick: &Tick<'_>,
) -> Vec<(&'static str, Reply)> {
    let down_after = tick.pace.scale(DOWN_AFTER).as_millis();
    let texts = [
        ("name", name),
        ("ip", HOST.into()),
        ("port", port.to_string()),
        ("runid", run_id.into()),
        ("flags", flags.into()),
        ("link-pending-commands", "0".into()),
        ("link-refcount", "1".into()),
        ("last-ping-sent", silent_ms.to_string()),
        ("last-ok-ping-reply", silent_ms.to_string()),
        ("last-ping-reply", silent_ms.to_string()),
        ("down-after-milliseconds", down_after.to_string()),
    ];
    texts.map(|(key, value)| (key, Reply::text(value))).into()
}

fn push(entry: &mut Vec<(&'static str, Reply)>, fields: impl IntoIterator<Item = (&'static str, String)>) {
    entry.extend(fields.into_iter().map(|(key, value)| (key, Reply::text(value))));
}

/// Whether enough living Sentinels of the same belief find the master down.
fn objectively_down(redis: &Deployment, master: usize, tick: &Tick<'_>) -> bool {
    let lives = |other: &&Sentinel| other.condition(tick.faults).linked() && other.master == master;
    redis.sentinels.iter().filter(lives).filter(|other| redis.node_down(other, master, tick)).count() >= QUORUM
}

fn master(redis: &Deployment, at: usize, tick: &Tick<'_>) -> Reply {
    let own = &redis.sentinels[at];
    let node = &redis.nodes[own.master];
    let silent = age(own.nodes_seen[own.master], tick.now).as_millis();
    let mut flags = String::from("master");
    if redis.node_down(own, own.master, tick) {
        flags = format!(
            "s_down,{}master,disconnected",
            if objectively_down(redis, own.master, tick) { "o_down," } else { "" }
        );
    }
    if own.failover.is_some() {
        flags.push_str(",failover_in_progress");
    }
    let mut entry = common(MASTER_NAME.into(), node.port, &node.run_id, &flags, silent, tick);
    push(
        &mut entry,
        [
            ("info-refresh", silent.to_string()),
            ("role-reported", if node.is_master() { "master" } else { "slave" }.into()),
            ("role-reported-time", age(node.started, tick.now).as_millis().to_string()),
            ("config-epoch", own.epoch.to_string()),
            ("num-slaves", (redis.nodes.len() - 1).to_string()),
            ("num-other-sentinels", (redis.sentinels.len() - 1).to_string()),
            ("quorum", QUORUM.to_string()),
            ("failover-timeout", tick.pace.scale(FAILOVER_TIMEOUT).as_millis().to_string()),
            ("parallel-syncs", "1".into()),
        ],
    );
    if redis.node_down(own, own.master, tick) {
        let down = silent.saturating_sub(tick.pace.scale(DOWN_AFTER).as_millis());
        push(&mut entry, [("s-down-time", down.to_string())]);
    }
    push(&mut entry, own.failover.iter().map(|failover| ("failover-state", failover.state().to_owned())));
    Reply::Map(entry)
}

fn replica(redis: &Deployment, at: usize, node: usize, tick: &Tick<'_>) -> Reply {
    let (own, node_at, node) = (&redis.sentinels[at], node, &redis.nodes[node]);
    let silent = age(own.nodes_seen[node_at], tick.now).as_millis();
    let flags = if redis.node_down(own, node_at, tick) { "s_down,slave,disconnected" } else { "slave" };
    let mut entry = common(format!("{HOST}:{}", node.port), node.port, &node.run_id, flags, silent, tick);
    let (host, port) = node.upstream.as_ref().map_or(("?", 0), |up| (up.host.as_str(), up.port));
    let down_since = node.upstream.as_ref().and_then(|up| up.down_since);
    push(
        &mut entry,
        [
            ("info-refresh", silent.to_string()),
            ("role-reported", if node.is_master() { "master" } else { "slave" }.into()),
            ("role-reported-time", age(node.started, tick.now).as_millis().to_string()),
            ("master-link-down-time", down_since.map_or(0, |since| age(since, tick.now).as_millis()).to_string()),
            ("master-link-status", if node.link_up() { "ok" } else { "err" }.into()),
            ("master-host", host.into()),
            ("master-port", port.to_string()),
            ("slave-priority", node.priority.to_string()),
            ("slave-repl-offset", node.data.offset.to_string()),
            ("replica-announced", "1".into()),
        ],
    );
    Reply::Map(entry)
}

fn sentinel(redis: &Deployment, at: usize, other: usize, tick: &Tick<'_>) -> Reply {
    let (own, node) = (&redis.sentinels[at], &redis.sentinels[other]);
    let silent = age(own.sentinels_seen[other], tick.now).as_millis();
    let flags = if redis.sentinel_down(own, other, tick) { "s_down,sentinel,disconnected" } else { "sentinel" };
    let mut entry = common(node.run_id.clone(), node.port, &node.run_id, flags, silent, tick);
    push(
        &mut entry,
        [("last-hello-message", silent.to_string()), ("voted-leader", "?".into()), ("voted-leader-epoch", "0".into())],
    );
    Reply::Map(entry)
}

fn info(redis: &Deployment, at: usize, section: &str, tick: &Tick<'_>) -> String {
    let own = &redis.sentinels[at];
    let (host, port) = redis.address(own.master);
    let status = match (redis.node_down(own, own.master, tick), objectively_down(redis, own.master, tick)) {
        (false, _) => "ok",
        (true, false) => "sdown",
        (true, true) => "odown",
    };
    let all = matches!(section, "" | "all" | "default" | "everything");
    let mut out = String::new();
    if all || section == "server" {
        out += &format!(
            "# Server\r\nredis_version:{VERSION}\r\nredis_mode:sentinel\r\nrun_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n\r\n",
            own.run_id,
            own.port,
            age(own.started, tick.now).as_secs()
        );
    }
    if all || section == "sentinel" {
        out += &format!(
            "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\n\
             master0:name={MASTER_NAME},status={status},address={host}:{port},slaves={},sentinels={}\r\n",
            redis.nodes.len() - 1,
            redis.usable(own, tick)
        );
    }
    out
}
