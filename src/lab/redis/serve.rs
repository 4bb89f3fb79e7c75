//! The listeners of servers and Sentinels, and what every connection can do on both.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

use super::commands::{self, Command, VERSION};
use super::resp::{Reply, read_command};
use super::{NODE, SENTINEL, sentinel_commands};
use crate::lab::Site;
use crate::lab::faults::Condition;
use crate::lab::net::{GatedListener, GatedStream, Place};
use crate::lab::world::{Tick, World};

/// How often a write that waits looks whether it may go on.
const BREATH: std::time::Duration = std::time::Duration::from_millis(5);

/// Who answers: an index of the deployment's servers or Sentinels.
#[derive(Clone, Copy)]
enum Who {
    Node(usize),
    Sentinel(usize),
}

/// Starts all servers and Sentinels; their endpoints are `redis.redis-1` and `redis.sentinel-1`.
pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let extent = site.world.extent;
    let who = |count: usize, which: fn(usize) -> Who| (0..count).map(which);
    for who in who(super::NODES.len(), Who::Node).chain(who(super::SENTINELS.len(), Who::Sentinel)) {
        let (system, (name, region, zone)) = match who {
            Who::Node(at) => (NODE, super::nodes(extent)[at]),
            Who::Sentinel(at) => (SENTINEL, super::sentinels(extent)[at]),
        };
        let place = Place::member(system, region, name, zone);
        let listener = GatedListener::bind(site.world, place.clone(), IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        let address = listener.address()?;
        match who {
            Who::Node(at) => site.world.truth().redis.listens_on(at, address.port()),
            Who::Sentinel(at) => site.world.truth().redis.sentinels[at].port = address.port(),
        }
        site.endpoints.insert(format!("redis.{name}"), address.to_string());
        site.tasks.spawn(serve(listener, Server { world: site.world.clone(), who, place }));
    }
    Ok(())
}

async fn serve(mut listener: GatedListener, server: Server) {
    let mut connections = JoinSet::new();
    for id in 1.. {
        let (stream, _) = listener.next().await;
        let session = Session { server: server.clone(), resp3: false, name: Vec::new(), id };
        // A connection that breaks is the client's business; the next one is served all the same.
        connections.spawn(async move { session.run(stream).await.ok() });
        while connections.try_join_next().is_some() {}
    }
}

#[derive(Clone)]
struct Server {
    world: World,
    who: Who,
    place: Place,
}

/// One connection.
struct Session {
    server: Server,
    resp3: bool,
    name: Vec<u8>,
    id: i64,
}

impl Session {
    async fn run(mut self, stream: GatedStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut out = Vec::new();
            match read_command(&mut stream).await {
                Ok(None) => return Ok(()),
                Ok(Some(words)) if words.is_empty() => continue,
                Ok(Some(words)) => {
                    let command = Command::new(&words);
                    while self.server.holds_back(&command) {
                        tokio::time::sleep(BREATH).await;
                    }
                    let reply = self.answer(&command);
                    reply.encode(self.resp3, &mut out);
                    stream.get_mut().write_all(&out).await?;
                    if command.name == "QUIT" {
                        return stream.get_mut().shutdown().await;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    Reply::error(error.to_string()).encode(self.resp3, &mut out);
                    stream.get_mut().write_all(&out).await?;
                    return stream.get_mut().shutdown().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&mut self, command: &Command<'_>) -> Reply {
        match self.server.place.condition(&self.server.world) {
            Condition::Denied => {
                let name = command.name.to_lowercase();
                return Reply::error(format!("NOPERM User default has no permissions to run the '{name}' command"));
            }
            Condition::Throttled => return Reply::error("ERR max number of clients reached"),
            _ => {}
        }
        match command.name.as_str() {
            "PING" => command.word(1).map_or(Reply::Simple("PONG"), |word| Reply::Bulk(word.to_vec())),
            "ECHO" => command.word(1).map_or_else(|| command.wrong_arity(), |word| Reply::Bulk(word.to_vec())),
            "HELLO" => self.hello(command),
            "AUTH" => match command.words.len() {
                2 | 3 => Reply::error(
                    "ERR AUTH <password> called without any password configured for the default user. \
                     Are you sure your configuration is correct?",
                ),
                _ => command.wrong_arity(),
            },
            "CLIENT" => self.client(command),
            "SELECT" => match command.text(1).parse() {
                Ok(0..=15u8) => Reply::OK,
                _ => Reply::error("ERR DB index is out of range"),
            },
            "COMMAND" => match command.upper(1).as_str() {
                "DOCS" => Reply::Map(vec![]),
                "COUNT" => Reply::Integer(0),
                _ => Reply::Array(vec![]),
            },
            "RESET" => {
                self.resp3 = false;
                Reply::Simple("RESET")
            }
            "QUIT" => Reply::OK,
            _ => self.server.answer(command),
        }
    }

    /// `HELLO [protover [AUTH user password] [SETNAME name]]`
    fn hello(&mut self, command: &Command<'_>) -> Reply {
        match command.word(1) {
            None => {}
            Some(b"2") => self.resp3 = false,
            Some(b"3") => self.resp3 = true,
            Some(other) if other.iter().all(u8::is_ascii_digit) => {
                return Reply::error("NOPROTO unsupported protocol version");
            }
            Some(_) => return Reply::error("ERR Protocol version is not an integer or out of range"),
        }
        let mode = if matches!(self.server.who, Who::Node(_)) { "standalone" } else { "sentinel" };
        let mut entries = vec![
            ("server", Reply::text("redis")),
            ("version", Reply::text(VERSION)),
            ("proto", Reply::Integer(if self.resp3 { 3 } else { 2 })),
            ("id", Reply::Integer(self.id)),
            ("mode", Reply::text(mode)),
        ];
        if let Who::Node(at) = self.server.who {
            let master = self.server.world.truth().redis.nodes[at].is_master();
            entries.push(("role", Reply::text(if master { "master" } else { "replica" })));
        }
        entries.push(("modules", Reply::Array(vec![])));
        Reply::Map(entries)
    }

    fn client(&mut self, command: &Command<'_>) -> Reply {
        if let Who::Node(at) = self.server.who
            && let Some(reply) = commands::pause(&mut self.server.world.truth(), at, command, Timestamp::now())
        {
            return reply;
        }
        match command.upper(1).as_str() {
            "SETNAME" => {
                self.name = command.word(2).unwrap_or_default().to_vec();
                Reply::OK
            }
            "GETNAME" if self.name.is_empty() => Reply::Null,
            "GETNAME" => Reply::Bulk(self.name.clone()),
            "ID" => Reply::Integer(self.id),
            // Redis knows SETINFO from 7.2 on; clients ignore the refusal of older ones.
            _ => Reply::error(format!("ERR unknown subcommand '{}'. Try CLIENT HELP.", command.text(1))),
        }
    }
}

impl Server {
    fn holds_back(&self, command: &Command<'_>) -> bool {
        match self.who {
            Who::Node(at) => commands::waits(&self.world.truth(), at, command, Timestamp::now()),
            Who::Sentinel(_) => false,
        }
    }

    fn answer(&self, command: &Command<'_>) -> Reply {
        let truth = &mut *self.world.truth();
        let faults = truth.faults.clone();
        let tick = Tick { now: Timestamp::now(), pace: self.world.pace, faults: &faults };
        match self.who {
            Who::Node(at) => commands::answer(truth, at, command, &tick),
            Who::Sentinel(at) => sentinel_commands::answer(truth, at, command, &tick),
        }
    }
}
