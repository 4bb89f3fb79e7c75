//! Whether the user of the config may send a command, asked without sending it.
//!
//! `ACL DRYRUN` is there from Redis 7 on (<https://redis.io/docs/latest/commands/acl-dryrun/>).

use futures::future::BoxFuture;

use super::Redis;
use super::client::{Peer, Refusal, text};
use crate::domain::readiness::access;
use crate::domain::system::{Fault, Fitness, Guard};
use crate::domain::text::clean;

impl Redis {
    /// Asked of everyone who may have to obey: all Sentinels, or all servers.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn fitness<'a>(&'a self, peer: Peer, command: &'a [&'a str]) -> BoxFuture<'a, Result<Fitness, Fault>> {
        Box::pin(async move {
            let addresses: Vec<&String> = match peer {
                Peer::Sentinel => self.sentinels.iter().collect(),
                Peer::Server => self.servers_named().into_iter().collect(),
            };
            let (mut denied, mut asked, mut untold, mut silent) = (Vec::new(), 0, Vec::new(), None);
            for address in addresses {
                match self.may(peer, address, command).await {
                    Ok(May::Yes) => asked += 1,
                    Ok(May::No(why)) => {
                        asked += 1;
                        denied.push(format!("{} at {}: {why}", command.join(" "), self.name(address)));
                    }
                    Ok(May::Untold(why)) => {
                        asked += 1;
                        untold.push(format!("{} ({why})", self.name(address)));
                    }
                    Err(fault) => silent = Some(fault),
                }
            }
            let guard = match silent {
                Some(fault) if asked == 0 => return Err(fault),
                _ if !denied.is_empty() => access(&denied, asked, "the user of Redis"),
                Some(fault) => Guard::warn("access", format!("not everybody could be asked: {}", fault.what)),
                None if !untold.is_empty() => Guard::warn(
                    "access",
                    format!("whether the user may send {} is not told by {}", command.join(" "), untold.join(", ")),
                ),
                None => access(&denied, asked, "the user of Redis"),
            };
            Ok(Fitness { guards: vec![guard] })
        })
    }

    /// What the peer at `address` says that its user may do.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn may(&self, peer: Peer, address: &str, command: &[&str]) -> Result<May, Fault> {
        let mut link = self.client.connect(peer, address).await?;
        let user = match link.tell(&["ACL", "WHOAMI"]).await {
            Ok(user) => text(&user).unwrap_or_default(),
            Err(Refusal { code: Some(_), fault }) => return Ok(May::Untold(fault.what)),
            Err(refusal) => return Err(refusal.fault),
        };
        let mut question = vec!["ACL", "DRYRUN", user.as_str()];
        question.extend(command);
        match link.tell(&question).await {
            Ok(answer) => {
                let said = text(&answer).unwrap_or_default();
                Ok(if said == "OK" { May::Yes } else { May::No(clean(&said)) })
            }
            // It was renamed, or there is no such command here.
            Err(Refusal { code: Some(_), fault }) if fault.what.contains("not found") => Ok(May::No(fault.what)),
            // A server that does not know the question refuses it; then only the command itself would tell.
            Err(Refusal { code: Some(_), fault }) => Ok(May::Untold(fault.what)),
            Err(refusal) => Err(refusal.fault),
        }
    }
}

/// What a peer says of a command.
pub enum May {
    Yes,
    No(String),
    Untold(String),
}
