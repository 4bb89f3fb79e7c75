//! Asking one server: everything goes through explicit transactions over a connection of its own, and nothing is repeated.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::login::{Gates, SECURITY};
use super::place::{Place, Security};
use super::session::{Broken, HANDSHAKE, Query, Row, Session};
use crate::domain::estate::SystemSpec;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};
use crate::outbound::stream::{self, Terms, Tls, Wire};
use crate::systems::shell::quoted;

/// Of as many queries; one that is refused does not take the others with it.
pub type Answers<const N: usize> = [Result<Vec<Row>, Fault>; N];

/// The database that holds the configuration of all others.
pub const SYSTEM: &str = "system";
/// How long a query that changes something may take.
const MUTATION: Duration = Duration::from_secs(10);
/// What the code of an error begins with that will pass.
const TRANSIENT: &str = "Neo.TransientError.";

pub struct Client {
    system: String,
    username: String,
    password: Keep,
    trusted: Tls,
    anybody: Tls,
    gates: Gates,
    timeout: Duration,
}

fn late(url: &str, limit: Duration) -> String {
    format!("{url} did not answer within {:.1} s", limit.as_secs_f64())
}

impl Client {
    /// # Errors
    /// When the parameters can never work together.
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let terms = Terms::of(spec.id.as_str(), &spec.params)?;
        Ok(Self {
            system: spec.id.to_string(),
            username: spec.params.text("username")?.to_owned(),
            password: Keep::new(spec.params.secret("password")),
            anybody: Tls::new(terms.clone().of_anybody()),
            trusted: Tls::new(terms),
            gates: Gates::default(),
            timeout: spec.params.opt_span("timeout").unwrap_or(Duration::from_secs(3)),
        })
    }

    /// How long one server may take to answer.
    pub fn patience(&self) -> Duration {
        self.timeout
    }

    /// What is said of one that took longer.
    pub fn late(&self, url: &str, limit: Duration) -> Fault {
        Fault::transient(&self.system, late(url, limit))
    }

    /// The rows of queries that change nothing, one after the other over one connection. A query that is refused does not keep
    /// the next ones from being asked.
    pub fn ask<'a, const N: usize>(
        &'a self,
        url: &'a str,
        queries: [(&'a str, Query); N],
    ) -> BoxFuture<'a, Result<Answers<N>, Fault>> {
        Box::pin(async move {
            let asking = async {
                let mut session = self.connect(url, queries.first().map_or(SYSTEM, |it| it.0)).await?;
                let mut answers = Vec::with_capacity(N);
                for (database, query) in queries {
                    answers.push(match fetch(&mut session, database, &query).await {
                        Ok(rows) => Ok(rows),
                        Err(Broken::Said { code, message }) => {
                            session.reset();
                            Err(refusal(&self.system, url, &code, &message))
                        }
                        Err(broken) => return Err(fault(&self.system, url, broken, FaultClass::Transient)),
                    });
                }
                session.close();
                Ok(answers)
            };
            let answers = match self.bounded(url, self.timeout, asking).await {
                Ok(answers) => answers?,
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
            let begun = async {
                let mut session = self.connect(url, database).await?;
                let begun = session.begin(database).await;
                begun.map_err(|broken| fault(&self.system, url, broken, FaultClass::Transient))?;
                Ok::<_, Fault>(session)
            };
            // Until here nothing was sent to be carried out.
            let mut session = match self.bounded(url, MUTATION, begun).await {
                Ok(begun) => begun?,
                Err(what) => return Err(Fault::transient(&self.system, what)),
            };
            let changing = async {
                session.rows(&query).await?;
                session.commit().await
            };
            match self.bounded(url, MUTATION, changing).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(broken)) => Err(fault(&self.system, url, broken, FaultClass::Ambiguous)),
                Err(what) => Err(Fault::ambiguous(&self.system, what).means("the command may have been carried out")),
            }
        })
    }

    /// A connection with somebody logged in, whose first transaction is at `database`.
    async fn connect(&self, url: &str, database: &str) -> Result<Session, Fault> {
        let password = self.password.read(&self.system).await?.unwrap_or_else(|| Secret::new(""));
        // Whoever would be turned away does not even knock.
        self.gates.turn(url).await.admits(&password, Instant::now())?;
        let wire = self.wire(url).await?;
        let mut gate = self.gates.turn(url).await;
        gate.admits(&password, Instant::now())?;
        match Session::log_in(wire, &self.username, password.expose(), database).await {
            Ok(session) => {
                gate.admitted();
                Ok(session)
            }
            Err(refused @ Broken::LoginRefused { .. }) => {
                // A server that cannot serve anybody just now says nothing of the password.
                let is_of_the_user =
                    !matches!(&refused, Broken::LoginRefused { code, .. } if code.starts_with(TRANSIENT));
                let fault = fault(&self.system, url, refused, FaultClass::Transient);
                if is_of_the_user {
                    gate.refused(password, &fault, Instant::now());
                }
                Err(fault)
            }
            Err(other) => Err(fault(&self.system, url, other, FaultClass::Transient)),
        }
    }

    async fn wire(&self, url: &str) -> Result<Box<dyn Wire>, Fault> {
        let place = Place::of(&self.system, url)?;
        let stream = stream::dial(&self.system, &place.host, place.port).await?;
        let tls = match place.security {
            Security::Plain => return Ok(Box::new(stream)),
            Security::Trusted => &self.trusted,
            Security::Anybody => &self.anybody,
        };
        tls.wrap(&self.system, &place.host, url, stream).await
    }

    /// `what` within a limit; `Err` holds why nothing came of it.
    async fn bounded<T>(&self, url: &str, limit: Duration, what: impl Future<Output = T>) -> Result<T, String> {
        timeout(limit, what).await.map_err(|_| late(url, limit))
    }

    /// Whether anything sends as much as one byte there, or it could not even be looked for. What turns us away or speaks nonsense is not
    /// proven dead.
    pub fn may_live<'a>(&'a self, url: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let talk = async {
                let mut stream = match self.wire(url).await {
                    Ok(stream) => stream,
                    Err(fault) => return fault.class == FaultClass::Permanent,
                };
                stream.write_all(&HANDSHAKE).await.is_ok() && stream.read_u8().await.is_ok()
            };
            timeout(self.timeout, talk).await.unwrap_or(false)
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

async fn fetch(session: &mut Session, database: &str, query: &Query) -> Result<Vec<Row>, Broken> {
    session.begin(database).await?;
    let rows = session.rows(query).await?;
    session.rollback().await?;
    Ok(rows)
}

/// What an error means. `broken` is the class of an error of the connection.
fn fault(system: &str, url: &str, error: Broken, broken: FaultClass) -> Fault {
    let means = if broken == FaultClass::Ambiguous { "the command may have been carried out" } else { "" };
    match error {
        Broken::Said { code, message } => refusal(system, url, &code, &message),
        Broken::LoginRefused { code, message } => {
            let fault = refusal(system, url, &code, &message);
            if fault.next.is_empty() { fault.next("check `username` and `password`") } else { fault }
        }
        Broken::Version => {
            Fault::permanent(system, format!("{url} speaks no version of Bolt that Mayday knows (4.0 and 4.1)"))
                .next("see which version of Neo4j it is: from 4.0 on they do")
        }
        Broken::Noise => Fault::new(broken, system, format!("{url} answers, but not as Neo4j does")).means(means),
        Broken::HungUp => Fault::new(broken, system, format!("{url} ended the connection at once")).means(means).next(
            "see whether the network reaches what listens there; if it wants TLS, write bolt+s:// or bolt+ssc://",
        ),
        // With TLS 1.3 a client hears only now that its certificate is not taken.
        Broken::Io(error) => stream::refused(system, url, &error).unwrap_or_else(|| {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof => "the connection ended in the middle of an answer".to_owned(),
                _ => clean(&error.to_string()),
            };
            Fault::new(broken, system, format!("{url}: {why}")).means(means)
        }),
    }
}

/// The server said no: nothing was carried out.
fn refusal(system: &str, url: &str, code: &str, message: &str) -> Fault {
    let what = format!("{url}: {} ({})", clean(message), clean(code));
    match code {
        "Neo.ClientError.Security.AuthenticationRateLimit" => Fault::permanent(system, what)
            .means("the user is locked after wrong passwords, here or elsewhere")
            .next("check `password`; Neo4j opens the lock by itself some seconds after the last wrong one"),
        "Neo.ClientError.Security.CredentialsExpired" => Fault::permanent(system, what)
            .next("log in once with cypher-shell and set another password: this one has to be changed first"),
        "Neo.ClientError.Security.AuthorizationExpired" => {
            Fault::transient(system, what).next("wait a little, then retry")
        }
        _ if code.starts_with(TRANSIENT) => Fault::transient(system, what).next("wait a little, then retry"),
        _ if code.starts_with(SECURITY) => {
            Fault::permanent(system, what).next("check `username` and `password`, and whether the user may do this")
        }
        _ => Fault::permanent(system, what),
    }
}
