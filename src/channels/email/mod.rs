//! E-mail, to a few colleagues or to a thousand customers: batches of recipients, each one letter.
//!
//! Nobody can look into a mailbox, so a letter whose fate is not known is not sent again by itself. All that can be made sure of is made
//! sure of before the one line that ends a letter: until then nothing was sent.
//!
//! | what a relay or a list can be like | Mayday |
//! |---|---|
//! | submission with STARTTLS (587), implicit TLS (465), or in the open on this host | supported; in the open to anywhere else is refused by `mayday check` |
//! | an authority of its own | `ca` |
//! | PLAIN and LOGIN | supported |
//! | OAuth 2 (XOAUTH2), as Microsoft 365 and Google Workspace want it | `login = "oauth"`, and a command as `password` that prints an access token: it is run anew every minute at most. Tokens are not asked for by Mayday itself, and OAUTHBEARER is not spoken |
//! | greylisting (4xx to a recipient) | the others are told at once; who is put off is tried alone after the time that the relay names, or a minute, until `give_up` |
//! | a dead mailbox (5xx) | the others are told; how many were refused stands in the outbox, on the screen and in the report |
//! | 452 in the middle of the recipients | who was taken gets the letter, the others get letters of that size, at once |
//! | a relay that takes a second for every recipient | the letter goes to those who were named within 20 s, the others get the next one |
//! | a limit of letters a connection, a connection that was dropped | the next letter opens another one |
//! | a limit of connections | as many as it lets in; tried with more again after a minute |
//! | a relay that puts off everything (421, 4xx to the sender) | left alone for the time that it names |
//! | an answer to a letter that was lost | UNKNOWN: `mayday outbox settle` says whether it has arrived |
//! | a list in UTF-8, UTF-16, Windows-1252 or Latin-1, with any ends of lines | read |
//! | a table with commas, semicolons or tabs, quotes, a heading | read by its column of addresses; without a heading every address counts |
//! | a line without an address | named by `mayday check` and `mayday ready` with its number; the others are told |
//! | a name of a host in other letters | written as resolvers know it; a mailbox in other letters is named as a bad line |
//! | a proxy on the way out | not for mail: name a relay that this host can reach |

mod lanes;
mod letter;
mod lines;
mod list;
mod pause;
mod relay;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::Address;
use lettre::message::Mailbox;

use self::letter::Letter;
use self::list::{List, mark};
use self::relay::{Relay, Taken, Tls};
use super::exchange::Voice;
use crate::domain::comms::{
    Audience, CONNECTIONS, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Handed, IN_PART, Parcel,
    Purpose, Rest,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::{Fault, Receipt};

const VENDOR: &str = "the mail relay";

/// How long a relay that puts us off is left alone: most greylists let through who comes back after a minute.
const CALM: Duration = Duration::from_secs(60);

/// The most recipients of one letter; Amazon SES takes 50: <https://docs.aws.amazon.com/ses/latest/dg/quotas.html>.
const MOST: u64 = 50;

/// So many lines of a list are named on the screen; `mayday check` names all.
const SHOWN: usize = 20;

/// Why some of a part go by another letter.
const FULL: &str = "a letter has no room for them: they get the next one";
const NO_MORE: &str = "the relay takes no more recipients in one letter: they get the next one";

const LOGINS: &[&str] = &["password", relay::OAUTH];
const TLS: &[&str] = &["starttls", "implicit", "none"];

pub static KIND: ChannelKind = ChannelKind {
    name: "email",
    title: "E-mail",
    audiences: &[Audience::Internal, Audience::Customers],
    carries: &[
        Purpose::Page,
        Purpose::Investigating,
        Purpose::Identified,
        Purpose::Monitoring,
        Purpose::Resolved,
        Purpose::Handoff,
    ],
    doubles: Doubles::Undetectable,
    params: &[
        Param::required(
            "server",
            ParamType::Address,
            "the relay that takes letters: usually port 587, or 465 for implicit TLS",
        ),
        Param::default(
            "tls",
            ParamType::Choice(TLS),
            "starttls",
            "starttls is required, not tried; none is for a relay on this host alone",
        ),
        Param::optional(
            "ca",
            ParamType::Path,
            "a PEM file with the only authority that is trusted; this host's own when left out",
        ),
        Param::optional("user", ParamType::Text, "whom to log in as"),
        Param::optional(
            "password",
            ParamType::Secret,
            "the password of that user, or with `login = \"oauth\"` an access token",
        ),
        Param::default("login", ParamType::Choice(LOGINS), "password", "how: oauth is XOAUTH2, with an access token"),
        Param::required("from", ParamType::Text, "who it is from: status@example.com, or Example <status@example.com>"),
        Param::optional("reply_to", ParamType::Text, "where answers go, if not there"),
        Param::default("to", ParamType::List, "[]", "the recipients; customers do not see each other"),
        Param::optional(
            "to_file",
            ParamType::Path,
            "a file with further recipients: one a line, or a table with a column of addresses, as spreadsheets write it; an absolute path",
        ),
        Param::default("batch", ParamType::Integer, "50", "the most recipients of one letter, 1 to 50"),
        Param::default(
            CONNECTIONS,
            ParamType::Integer,
            "20",
            "the most connections at once, 1 to 50; fewer as soon as the relay turns one back",
        ),
    ],
};

pub struct EmailFactory;

impl ChannelFactory for EmailFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let mailbox = |name: &str| match params.opt_text(name) {
            Some(text) => {
                text.parse::<Mailbox>().map(Some).map_err(|_| voice.unfit(format!("`{name}` is no e-mail address")))
            }
            None => Ok(None),
        };
        let from = mailbox("from")?.ok_or_else(|| voice.unfit("it needs `from`"))?;
        Ok(Arc::new(Email {
            relay: Relay::new(params, tls(params, &voice)?, voice.clone())?,
            list: List::new(params, voice.clone())?,
            letter: Letter { from, reply_to: mailbox("reply_to")?, audience: spec.audience },
            voice,
        }))
    }
}

fn tls(params: &Params, voice: &Voice) -> Result<Tls, Fault> {
    let (host, _) = relay::split(params.text("server")?);
    match params.text("tls")? {
        "implicit" => Ok(Tls::Implicit),
        "none" if relay::is_here(&host) => Ok(Tls::None),
        "none" => {
            Err(voice.unfit("`tls` can be none only for a relay on this host: anybody on the way could read along"))
        }
        _ => Ok(Tls::Starttls),
    }
}

struct Email {
    relay: Relay,
    list: List,
    letter: Letter,
    voice: Voice,
}

/// What is journalled of a batch: how many, and never who.
fn receipt(id: String, taken: &Taken, invalid: usize) -> Receipt {
    let mut receipt: Receipt = [("id".to_owned(), id), ("accepted".to_owned(), taken.accepted.to_string())].into();
    if let Some(why) = &taken.why_refused {
        receipt.insert("refused".into(), format!("{} ({why})", taken.refused));
    }
    if invalid > 0 {
        receipt.insert("no addresses".into(), invalid.to_string());
    }
    receipt
}

/// Those who were not named: letters of their own, as large as this one could be.
fn left_over(left: &[String], taken: &Taken, batch: usize) -> Vec<Rest> {
    let (size, why) = if taken.left.is_empty() { (batch, FULL) } else { (taken.accepted.max(1), NO_MORE) };
    left.chunks(size).map(|only| Rest { only: only.to_vec(), wait: Duration::ZERO, why: why.into() }).collect()
}

/// Those who are put off, by how long, each with the relay's words for the first of them.
fn put_off(taken: &Taken) -> BTreeMap<Duration, (Vec<usize>, &str)> {
    let mut by_pause: BTreeMap<Duration, (Vec<usize>, &str)> = BTreeMap::new();
    for (at, wait, why) in &taken.put_off {
        by_pause.entry(*wait).or_insert_with(|| (Vec::new(), why)).0.push(*at);
    }
    by_pause
}

#[async_trait]
impl Channel for Email {
    async fn parts(&self) -> Result<u32, Fault> {
        Ok(self.list.read().await?.parts())
    }

    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        let handed = self.hand_over(parcel).await?;
        match handed.rest.first().filter(|_| !handed.taken) {
            Some(rest) => Err(self.voice.later(rest.why.clone()).retry_after(rest.wait)),
            None => Ok(handed.receipt),
        }
    }

    async fn hand_over(&self, parcel: &Parcel) -> Result<Handed, Fault> {
        self.voice.allow(parcel)?;
        let read = self.list.read().await?;
        let mut to = read.part(&parcel.message, (parcel.part, parcel.parts), &parcel.only);
        let id = self.letter.id(parcel);
        if to.is_empty() {
            // There is nobody in this batch, or everybody was taken off the list since.
            return Ok(Handed::whole(receipt(id, &Taken::default(), 0)));
        }
        // More than a letter may have: the list has grown, or many fell into one part.
        let over = to.split_off(to.len().min(read.batch()));
        let letter = self.letter.write(parcel, &to).map_err(|why| self.voice.broken(why))?;
        let taken = self.relay.send(&self.letter.from.email, &to, &letter).await?;
        let mark = |address: &Address| mark(&parcel.message, address.as_ref());
        let left: Vec<String> = taken.left.iter().map(|at| mark(&to[*at])).chain(over.iter().map(mark)).collect();
        let mut rest = left_over(&left, &taken, read.batch());
        let by_pause = put_off(&taken);
        let of = to.len();
        rest.extend(by_pause.into_iter().map(|(wait, (places, why))| Rest {
            only: places.iter().map(|at| mark(&to[*at])).collect(),
            wait,
            why: format!("{} of {of} recipients are put off: {why}", places.len()),
        }));
        let all_wait = taken.accepted + taken.refused == 0 && over.is_empty() && rest.len() == 1;
        if taken.accepted == 0 && rest.is_empty() {
            return Err(self.relay.nobody(&taken));
        }
        // Said once, not with every batch.
        let invalid = if parcel.part == 0 && parcel.only.is_empty() { read.invalid.len() } else { 0 };
        Ok(Handed { receipt: receipt(id, &taken, invalid), taken: !all_wait, rest })
    }

    async fn inspect(&self) -> Vec<String> {
        self.list.wrong().await
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Untold(format!("no mailbox can be looked into; ask the relay for {}", self.letter.id(parcel))))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let read = self.list.read().await?;
        let how = self.relay.greet().await?;
        let all = format!("{how}; {} recipients, at most {} in a letter", read.count(), read.batch);
        let wrong = &read.invalid[..];
        if wrong.is_empty() {
            return Ok(all);
        }
        let lines: Vec<String> =
            wrong.iter().take(SHOWN).map(|bad| format!("line {}: {}", bad.line, bad.why)).collect();
        let more = if wrong.len() > SHOWN { format!("; and {} more", wrong.len() - SHOWN) } else { String::new() };
        let what = format!("{} of `to_file` are no addresses ({}{more}); {all}", wrong.len(), lines.join("; "));
        let fault = Fault::permanent(self.voice.channel.as_str(), what);
        Err(fault.means(format!("{IN_PART}: whoever stands there is not told")).next("`mayday check` names every line"))
    }
}
