//! Whether an API server is there at all: it answers, it answers late, or it is silent. Only the last is nobody, and a fence that leaves
//! writers alone because of it has to be sure: what is slow goes on writing.

use std::time::Duration;

use futures::future::BoxFuture;
use kube::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::access::{Proxy, unusable};
use super::client::{Asked, Client, Made};
use super::ear::{Answer, LATE};
use super::failure::{fault, nobody_there};
use crate::domain::system::{Fault, FaultClass};

/// How long a proxy may take to be there, and a resolver to say again what it was asked a moment ago.
const NEAR: Duration = Duration::from_secs(1);
/// How long it may take to say why it connects nobody.
const TOLD: Duration = Duration::from_secs(4);
/// No head of an answer is longer.
const LONGEST: u64 = 16 * 1024;

/// Whether somebody is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    /// It answers, and takes longer than anybody waits for it.
    Slow,
    /// How silent it is, in words.
    Silent(String),
}

impl Client {
    /// Whether the API server is there. `sure` waits out what may be no more than slow.
    ///
    /// # Errors
    /// When that cannot be told from here: no login, no name server, a certificate that does not fit, a proxy that is gone or lets nobody
    /// through. What is there may well be alive then.
    pub fn presence(&self, sure: bool) -> BoxFuture<'_, Result<Presence, Fault>> {
        Box::pin(async move {
            let made = self.made().await?;
            let wait = self.patience.now();
            // Whoever gives up waiting leaves the question under way: what comes late tells that somebody is there.
            let mut asking = Box::pin(self.asking.join(|landing| {
                let (system, ear, made) = (self.system().to_owned(), self.ear.clone(), made.clone());
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let answer = ask(&system, &made).await;
                    ear.learnt(matches!(answer, Ok(Answer::Answered)), begun);
                    landing.send_replace(Some(answer));
                });
            }));
            let mut answer = timeout(wait.long, &mut asking).await.ok();
            if answer.is_none() {
                self.patience.learn(wait, false);
                near(self.system(), &made).await?;
                if self.ear.is_slow() {
                    return Ok(Presence::Slow);
                }
                // What a proxy says in the end may be that it is its own trouble.
                if (sure || made.proxy.is_some()) && !self.ear.is_mute() {
                    answer = Some(asking.await);
                }
            }
            let silent = || Presence::Silent(format!("the API server did not answer {}", wait.words()));
            Ok(match answer {
                None => silent(),
                Some(None) => return Err(unusable(self.system(), "nothing could be asked: Mayday has no room")),
                Some(Some(answer)) => match answer? {
                    Answer::Answered if self.ear.is_slow() => Presence::Slow,
                    Answer::Answered => {
                        self.patience.learn(wait, true);
                        Presence::There
                    }
                    Answer::Nobody(words) => Presence::Silent(words),
                    Answer::Nothing => silent(),
                },
            })
        })
    }
}

/// Asks for the version, and listens until nobody would call it an answer any more.
async fn ask(system: &str, made: &Made) -> Result<Answer, Fault> {
    let asked = Asked { what: "look at its version", method: "GET", path: "/version", body: None };
    let by_proxy = made.proxy.is_some();
    match timeout(LATE, made.client.request_text(asked.request())).await {
        Err(_) => Ok(Answer::Nothing),
        Ok(Err(Error::Api(status))) if by_proxy && matches!(status.code, 502 | 504) => {
            Ok(Answer::Nobody(format!("the API server cannot be reached: the proxy says {}", status.code)))
        }
        Ok(Ok(_) | Err(Error::Api(_))) => Ok(Answer::Answered),
        Ok(Err(error)) => match nobody_there(&error, by_proxy) {
            Some(words) => match &made.proxy {
                None => Ok(Answer::Nobody(words)),
                Some(proxy) => behind(system, proxy, made).await.map(|()| Answer::Nobody(words)),
            },
            None => Err(fault(system, "reach the API server", FaultClass::Transient, &error)),
        },
    }
}

/// What hides whether the server is there: a proxy that is not, or a resolver that does not answer.
async fn near(system: &str, made: &Made) -> Result<(), Fault> {
    let Some(proxy) = &made.proxy else {
        let host = made.server.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        return match timeout(NEAR, lookup_host((host, made.server.port_u16().unwrap_or(443)))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::transient(system, "this host's resolver does not answer")
                .means("the cluster was not asked, so nothing is known of it")
                .next("look at /etc/resolv.conf, then retry")),
        };
    };
    match timeout(NEAR, TcpStream::connect(proxy.address())).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(hidden(system, &format!("the proxy {proxy} does not answer"))),
    }
}

fn hidden(system: &str, why: &str) -> Fault {
    Fault::transient(system, why)
        .means("nothing was asked of the cluster, so nothing is known of it")
        .next("look at the proxy, or at `proxy-url` and HTTPS_PROXY")
}

/// A proxy connected nobody: that the server is not there is told by a gateway's own codes alone. One that forbids it, or cannot look a
/// name up, says nothing of the server.
async fn behind(system: &str, proxy: &Proxy, made: &Made) -> Result<(), Fault> {
    let said = timeout(TOLD, said_by(proxy, made)).await.ok().flatten();
    match said {
        Some((502 | 504, _)) => Ok(()),
        // Squid has one code for all, and says in a header of its own which it was.
        Some((503, head)) if head.contains("err_connect_fail") || head.contains("err_read_timeout") => Ok(()),
        Some((code, _)) => {
            Err(hidden(system, &format!("the proxy {proxy} connects nobody to the API server: it says {code}")))
        }
        None => {
            Err(hidden(system, &format!("the proxy {proxy} does not say why it connects nobody to the API server")))
        }
    }
}

/// What an HTTP proxy says to who wants to be connected to the server: the code, and the whole head in lower case. The client of the
/// vendor keeps it to itself. `None` of a proxy that is spoken to in another way.
async fn said_by(proxy: &Proxy, made: &Made) -> Option<(u16, String)> {
    if proxy.uri.scheme_str() != Some("http") {
        return None;
    }
    let server = made.server.host()?;
    let at = format!("{server}:{}", made.server.port_u16().unwrap_or(443));
    let shown = proxy.authorization();
    let shown = shown.as_ref().and_then(|it| it.to_str().ok()).map(|it| format!("Proxy-Authorization: {it}\r\n"));
    let asked = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{}\r\n", shown.unwrap_or_default());
    let mut stream = TcpStream::connect(proxy.address()).await.ok()?;
    stream.write_all(asked.as_bytes()).await.ok()?;
    let (mut head, mut stream) = (Vec::new(), stream.take(LONGEST));
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let code = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some((code, head))
}
