//! E-mail, to a few colleagues or to a thousand customers: batches of recipients, each one letter.
//!
//! Nobody can look into a mailbox, so a letter whose fate is not known is not sent again by itself. All that can be made sure of is made
//! sure of before the one line that ends a letter: until then nothing was sent.

mod letter;
mod list;
mod relay;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;

use self::letter::Letter;
use self::list::List;
use self::relay::{Relay, Taken, Tls};
use super::exchange::Voice;
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::{Fault, Receipt};

const VENDOR: &str = "the mail relay";

/// How long a relay that puts us off is left alone: most greylists let through who comes back after a minute.
const CALM: Duration = Duration::from_secs(60);

/// The most recipients of one letter; Amazon SES takes 50: <https://docs.aws.amazon.com/ses/latest/dg/quotas.html>.
const MOST: u64 = 50;

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
        Param::optional("password", ParamType::Secret, "the password of that user"),
        Param::required("from", ParamType::Text, "who it is from: status@example.com, or Example <status@example.com>"),
        Param::optional("reply_to", ParamType::Text, "where answers go, if not there"),
        Param::default("to", ParamType::List, "[]", "the recipients; customers do not see each other"),
        Param::optional("to_file", ParamType::Path, "a file with further recipients, one a line; an absolute path"),
        Param::default("batch", ParamType::Integer, "50", "the most recipients of one letter, 1 to 50"),
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

#[async_trait]
impl Channel for Email {
    async fn parts(&self) -> Result<u32, Fault> {
        Ok(self.list.read().await?.parts())
    }

    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let read = self.list.read().await?;
        let to = read.part(parcel.part, parcel.parts);
        let id = self.letter.id(parcel);
        if to.is_empty() {
            // Everybody of this batch was taken off the list since.
            return Ok(receipt(id, &Taken::default(), 0));
        }
        let letter = self.letter.write(parcel, &to).map_err(|why| self.voice.broken(why))?;
        let batch = format!("{}.{}", parcel.message, parcel.part);
        let taken = self.relay.send(&batch, &self.letter.from.email, &to, &letter).await?;
        // Said once, not with every batch.
        let invalid = if parcel.part == 0 { read.invalid.len() } else { 0 };
        Ok(receipt(id, &taken, invalid))
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Untold(format!("no mailbox can be looked into; ask the relay for {}", self.letter.id(parcel))))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let read = self.list.read().await?;
        let how = self.relay.greet().await?;
        let wrong = match read.invalid.first() {
            Some(first) => format!("; {} of the list are no addresses, the first in {first}", read.invalid.len()),
            None => String::new(),
        };
        Ok(format!("{how}; {} recipients in {} letters{wrong}", read.count(), read.parts()))
    }
}
