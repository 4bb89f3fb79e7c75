//! What serves by the word of the zone's name servers: all there is to go by while the API of Route 53 is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;

use super::zone::{PATIENCE, Said, Zone};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::systems::dns::ask::{Question, ask, normal};

/// Where name servers send clients.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The set identifiers whose values were answered.
    by: BTreeSet<String>,
    /// Values that belong to none that is known.
    strangers: BTreeSet<String>,
    heard: usize,
    asked: usize,
}

impl Served {
    fn of(known: &BTreeMap<String, String>, said: &[Said]) -> Self {
        let mut served = Self { asked: said.len(), ..Self::default() };
        for (_, reply) in said {
            // One that fails to answer tells nothing of what it answers clients.
            let Some(reply) = reply.as_ref().ok().filter(|it| it.code == ResponseCode::NoError) else { continue };
            served.heard += usize::from(!reply.values.is_empty());
            for value in &reply.values {
                match known.get(value) {
                    Some(identifier) => drop(served.by.insert(identifier.clone())),
                    None => drop(served.strangers.insert(clean(value))),
                }
            }
        }
        served
    }

    fn and(mut self, more: Self) -> Self {
        self.by.extend(more.by);
        self.strangers.extend(more.strangers);
        Self { heard: self.heard + more.heard, asked: self.asked + more.asked, ..self }
    }

    pub fn is_answered(&self) -> bool {
        self.heard > 0
    }

    /// Whether every name server answered, every time, and nothing but this one.
    pub fn is_only(&self, identifier: &str) -> bool {
        self.asked > 0
            && self.heard == self.asked
            && self.strangers.is_empty()
            && self.by.iter().eq(std::iter::once(identifier))
    }

    /// What they say, while the API says nothing.
    pub fn words(&self) -> String {
        match self.heard {
            0 => "no name server answers, and the API does not answer".into(),
            _ => format!("{}; the API does not answer", self.says()),
        }
    }

    /// What they say.
    pub fn says(&self) -> String {
        if self.heard == 0 {
            return "no name server answers".into();
        }
        let names: Vec<String> = self.by.iter().map(|it| clean(it)).collect();
        let mut said = names.join(" and ");
        if !self.strangers.is_empty() {
            let strangers: Vec<&str> = self.strangers.iter().map(String::as_str).collect();
            let strangers = format!("{} (whose it is, is not known: set `answers`)", strangers.join(", "));
            said = if said.is_empty() { strangers } else { format!("{said} and {strangers}") };
        }
        let all = if self.heard < self.asked { "some name servers say" } else { "name servers say" };
        format!("{all} {said}")
    }
}

/// Asks every name server `rounds` times what it answers for `name`, and says whose values those are, by value.
///
/// # Errors
/// When the name or the type is none.
pub async fn look(
    known: &BTreeMap<String, String>,
    servers: &[(String, SocketAddr)],
    (name, kind): (&str, &str),
    rounds: usize,
) -> Result<Served, String> {
    let question = Question::new(name, kind, false)?;
    Ok(put(known, servers, &question, rounds).await)
}

async fn put(
    known: &BTreeMap<String, String>,
    servers: &[(String, SocketAddr)],
    question: &Question,
    rounds: usize,
) -> Served {
    let mut served = Served::default();
    for _ in 0..rounds {
        let asking = servers
            .iter()
            .map(|(server, address)| async move { (server.clone(), ask(*address, question, PATIENCE).await) });
        served = served.and(Served::of(known, &futures::future::join_all(asking).await));
    }
    served
}

/// Identifiers by the values that name servers answer for them.
pub fn by_value(answers: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    answers.iter().map(|(identifier, value)| (normal(value), identifier.clone())).collect()
}

impl Zone {
    /// Asks every name server `rounds` times: where weights divide clients, one answer would be luck.
    ///
    /// # Errors
    /// When it cannot be told who the name servers are.
    pub async fn served(&self, name: &str, kind: &str, rounds: usize) -> Result<Served, Fault> {
        self.served_by(name, kind, rounds, BTreeMap::new()).await
    }

    /// The same, where `own` says whose values are, besides what is known.
    ///
    /// # Errors
    /// When it cannot be told who the name servers are.
    pub async fn served_by(
        &self,
        name: &str,
        kind: &str,
        rounds: usize,
        own: BTreeMap<String, String>,
    ) -> Result<Served, Fault> {
        let mut known = by_value(&self.answers);
        for set in self.told(name, kind).unwrap_or_default() {
            let identifier = set.identifier().to_owned();
            known.extend(self.values(&set).await.into_iter().map(|value| (value, identifier.clone())));
        }
        known.extend(own);
        let question = self.question(name, kind)?;
        Ok(put(&known, self.servers().await?, &question, rounds).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::dns::ask::Reply;

    fn said(code: ResponseCode, values: &[&str]) -> Said {
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        ("ns".into(), Ok(Reply { code, authoritative: true, values, ttl: Some(60), elsewhere: None }))
    }

    #[test]
    fn only_what_every_name_server_says_counts() {
        let known =
            [("192.0.2.1", "east"), ("192.0.2.2", "west")].map(|(ip, id)| (ip.to_owned(), id.to_owned())).into();
        let ok = |value| said(ResponseCode::NoError, &[value]);
        let silent = || ("ns".to_owned(), Err("no answer".to_owned()));
        let west = "name servers say west; the API does not answer";
        let rows = [
            ("all say west", vec![ok("192.0.2.2"), ok("192.0.2.2")], true, west),
            ("one says east", vec![ok("192.0.2.2"), ok("192.0.2.1")], false, "say east and west;"),
            ("one is silent", vec![ok("192.0.2.2"), silent()], false, "some name servers say west"),
            (
                "one fails",
                vec![ok("192.0.2.2"), said(ResponseCode::ServFail, &[])],
                false,
                "some name servers say west",
            ),
            ("a stranger", vec![ok("192.0.2.9"), ok("192.0.2.9")], false, "192.0.2.9 (whose it is, is not known"),
            ("all are silent", vec![silent(), silent()], false, "no name server answers, and the API does not"),
            ("nobody to ask", vec![], false, "no name server answers"),
        ];
        for (what, said, only, words) in rows {
            let served = Served::of(&known, &said);
            assert_eq!(served.is_only("west"), only, "{what}");
            assert!(served.words().contains(words), "{what}: {}", served.words());
        }
        let twice = Served::of(&known, &[ok("192.0.2.2")]).and(Served::of(&known, &[ok("192.0.2.1")]));
        assert!(!twice.is_only("west"), "the second time it said something else");
    }
}
