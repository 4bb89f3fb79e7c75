//! Whether the user of the config may send a command, asked without sending it.
//!
//! `ACL DRYRUN` is there from Redis 7 on (<https://redis.io/docs/latest/commands/acl-dryrun/>).

use futures::future::BoxFuture;

use super::Redis;
use super::client::{Peer, text};
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
                Peer::Server => self.servers_named().collect(),
            };
            let (mut denied, mut asked, mut silent) = (Vec::new(), 0, None);
            for address in addresses {
                match self.may(peer, address, command).await {
                    Ok(None) => asked += 1,
                    Ok(Some(why)) => {
                        asked += 1;
                        denied.push(format!("{} at {}: {why}", command.join(" "), self.name(address)));
                    }
                    Err(fault) => silent = Some(fault),
                }
            }
            let guard = match silent {
                Some(fault) if asked == 0 => return Err(fault),
                Some(fault) => Guard::warn("access", format!("not everybody could be asked: {}", fault.what)),
                None => access(&denied, asked, "the user of Redis"),
            };
            Ok(Fitness { guards: vec![guard] })
        })
    }

    /// Why it would be refused, if it would.
    async fn may(&self, peer: Peer, address: &str, command: &[&str]) -> Result<Option<String>, Fault> {
        let mut link = self.client.connect(peer, address).await?;
        let Ok(user) = link.ask(&["ACL", "WHOAMI"]).await else { return Ok(None) };
        let user = text(&user).unwrap_or_default();
        let mut question = vec!["ACL", "DRYRUN", user.as_str()];
        question.extend(command);
        // A server that does not know the question refuses it; then only the command itself would tell.
        let said = link.ask(&question).await.ok().and_then(|answer| text(&answer));
        Ok(said.filter(|said| said != "OK").map(|said| clean(&said)))
    }
}
