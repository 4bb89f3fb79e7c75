//! Asking one server. neo4rs repeats a plain `run` or `execute` by itself, for up to a minute, whenever the server says "transient";
//! so everything goes through explicit transactions, which it does not repeat. It also unwraps what a server may leave out of an
//! error; such a panic is caught here and told as an answer that is not Bolt.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use neo4rs::{ConfigBuilder, Error, Graph, Neo4jClientErrorKind, Neo4jError, Neo4jErrorKind, Query, Row, Txn};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::domain::estate::SystemSpec;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::secret::Keep;
use crate::systems::shell::quoted;

/// Of as many queries; one that is refused does not take the others with it.
pub type Answers<const N: usize> = [Result<Vec<Row>, Fault>; N];

/// The database that holds the configuration of all others.
pub const SYSTEM: &str = "system";
/// How long a query that changes something may take.
const MUTATION: Duration = Duration::from_secs(10);

pub struct Client {
    system: String,
    username: String,
    password: Keep,
    timeout: Duration,
}

/// What came of a query.
enum Outcome {
    /// Nothing was sent to be carried out.
    Unsent(Error),
    /// It was refused, or broke on the way.
    Sent(Error),
}

impl Client {
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        Ok(Self {
            system: spec.id.to_string(),
            username: spec.params.text("username")?.to_owned(),
            password: Keep::new(spec.params.secret("password")),
            timeout: spec.params.opt_span("timeout").unwrap_or(Duration::from_secs(3)),
        })
    }

    /// The rows of queries that change nothing, one after the other over one connection. A query that is refused does not keep
    /// the next ones from being asked.
    pub fn ask<'a, const N: usize>(
        &'a self,
        url: &'a str,
        queries: [(&'a str, Query); N],
    ) -> BoxFuture<'a, Result<Answers<N>, Fault>> {
        Box::pin(async move {
            let graph = self.connect(url, queries[0].0).await?;
            let asking = async {
                let mut answers = Vec::with_capacity(N);
                for (database, query) in queries {
                    match fetch(&graph, database, query).await {
                        Ok(rows) => answers.push(Ok(rows)),
                        Err(Outcome::Sent(Error::Neo4j(error))) => {
                            answers.push(Err(refusal(&self.system, url, &error)))
                        }
                        Err(Outcome::Sent(error) | Outcome::Unsent(error)) => return Err(error),
                    }
                }
                Ok(answers)
            };
            let answers = match self.bounded(url, self.timeout, asking).await {
                Ok(answers) => answers.map_err(|error| fault(&self.system, url, &error, FaultClass::Transient))?,
                Err(what) => return Err(Fault::transient(&self.system, what)),
            };
            answers.try_into().map_err(|_| Fault::transient(&self.system, format!("{url} answered too little")))
        })
    }

    /// The rows of one query that changes nothing.
    pub fn ask_one<'a>(
        &'a self,
        url: &'a str,
        database: &'a str,
        query: Query,
    ) -> BoxFuture<'a, Result<Vec<Row>, Fault>> {
        Box::pin(async move {
            let [answer] = self.ask(url, [(database, query)]).await?;
            answer
        })
    }

    /// Changes something, in one attempt and one transaction: a fault is ambiguous unless the server itself refused.
    pub fn change<'a>(&'a self, url: &'a str, database: &'a str, query: Query) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let graph = self.connect(url, database).await?;
            let changing = async {
                let mut txn = graph.start_txn_on(database).await.map_err(Outcome::Unsent)?;
                txn.run(query).await.map_err(Outcome::Sent)?;
                txn.commit().await.map_err(Outcome::Sent)
            };
            match self.bounded(url, MUTATION, changing).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(Outcome::Unsent(error))) => Err(fault(&self.system, url, &error, FaultClass::Transient)),
                Ok(Err(Outcome::Sent(error))) => Err(fault(&self.system, url, &error, FaultClass::Ambiguous)),
                Err(what) => Err(Fault::ambiguous(&self.system, what).means("the command may have been carried out")),
            }
        })
    }

    async fn connect(&self, url: &str, database: &str) -> Result<Graph, Fault> {
        let password = self.password.read(&self.system).await?;
        let password = password.as_ref().map_or("", |password| password.expose());
        let config = ConfigBuilder::default()
            .uri(url)
            .user(self.username.as_str())
            .password(password)
            .db(database)
            .max_connections(1)
            .build();
        let bad = |error: Error| {
            Fault::permanent(&self.system, format!("`{}` is no address: {}", clean(url), clean(&error.to_string())))
        };
        // Nothing is connected to yet: that happens with the first transaction.
        Graph::connect(config.map_err(bad)?).await.map_err(bad)
    }

    /// `what` within a limit; `Err` holds why nothing came of it.
    async fn bounded<T>(&self, url: &str, limit: Duration, what: impl Future<Output = T>) -> Result<T, String> {
        match timeout(limit, AssertUnwindSafe(what).catch_unwind()).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(format!("{url} answers, but not as Neo4j does")),
            Err(_) => Err(format!("{url} did not answer within {:.1} s", limit.as_secs_f64())),
        }
    }

    /// Whether anything sends as much as one byte there. What turns us away or speaks nonsense is not proven dead.
    pub fn says_anything<'a>(&'a self, url: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            const HANDSHAKE: [u8; 20] = [0x60, 0x60, 0xb0, 0x17, 0, 0, 1, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];
            let address = url.split_once("://").map_or(url, |(_, address)| address).trim_end_matches('/');
            let talk = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(&HANDSHAKE).await?;
                stream.read_u8().await
            };
            matches!(timeout(self.timeout, talk).await, Ok(Ok(_)))
        })
    }

    /// The command that asks the same by hand; it asks for the password itself.
    pub fn by_hand(&self, url: &str, database: &str, query: &str) -> String {
        format!("{} {}", self.shell(url, database), quoted(query))
    }

    /// What a command for a shell begins with; the query follows.
    pub fn shell(&self, url: &str, database: &str) -> String {
        ["cypher-shell", "-a", url, "-u", &self.username, "-d", database].map(quoted).join(" ")
    }
}

async fn fetch(graph: &Graph, database: &str, query: Query) -> Result<Vec<Row>, Outcome> {
    let mut txn = graph.start_txn_on(database).await.map_err(Outcome::Unsent)?;
    match rows(&mut txn, query).await {
        Ok(rows) => {
            txn.rollback().await.map_err(Outcome::Sent)?;
            Ok(rows)
        }
        Err(error) => Err(Outcome::Sent(error)),
    }
}

async fn rows(txn: &mut Txn, query: Query) -> Result<Vec<Row>, Error> {
    let mut stream = txn.execute(query).await?;
    let mut rows = Vec::new();
    while let Some(row) = stream.next(txn.handle()).await? {
        rows.push(row);
    }
    Ok(rows)
}

/// What an error means. `broken` is the class of an error of the connection.
fn fault(system: &str, url: &str, error: &Error, broken: FaultClass) -> Fault {
    match error {
        Error::Neo4j(error) => refusal(system, url, error),
        Error::AuthenticationError(said) => Fault::permanent(system, format!("{url}: {}", clean(said)))
            .next("check `username` and `password`, and whether the user may do this"),
        Error::UnsupportedVersion(_) => Fault::transient(system, format!("{url} answers, but not as Neo4j does")),
        other => Fault::new(broken, system, format!("{url}: {}", clean(&other.to_string()))),
    }
}

/// The server said no: nothing was carried out.
fn refusal(system: &str, url: &str, error: &Neo4jError) -> Fault {
    let what = format!("{url}: {} ({})", clean(error.message()), clean(error.code()));
    match error.kind() {
        Neo4jErrorKind::Transient | Neo4jErrorKind::Client(Neo4jClientErrorKind::SessionExpired) => {
            Fault::transient(system, what).next("wait a little, then retry")
        }
        Neo4jErrorKind::Client(Neo4jClientErrorKind::Security(_)) => {
            Fault::permanent(system, what).next("check `username` and `password`, and whether the user may do this")
        }
        _ => Fault::permanent(system, what),
    }
}
