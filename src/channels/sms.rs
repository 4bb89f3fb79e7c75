//! Text messages, by Twilio: a few colleagues, or customers by number. <https://www.twilio.com/docs/messaging/api/message-resource>
//!
//! Each recipient is a message of its own, and a part. A message ends with its id: by that it is looked for in Twilio's list after an
//! answer that was lost.
//!
//! | what an account can be like | Mayday |
//! |---|---|
//! | an account's token, or an API key with its secret | `user` is the account's or the key's id, `password` what belongs to it |
//! | a number, a short code, a name as the sender | `from` |
//! | a messaging service | `from` is its id (MG…) |
//! | a number that is no mobile phone, or has unsubscribed | refused: that part is FAILED with Twilio's words, the others are told |
//! | limits (429) | tried again |
//! | numbers that are not written as +49…, or twice | refused by `mayday check` |
//! | Amazon SNS | not supported: name a webhook in front of it |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::exchange::{Purport, Reply, Voice, base, fitted, send};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, CONNECTIONS, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "Twilio";

/// How long it is left alone when it does not say for how long.
const CALM: Duration = Duration::from_secs(10);

/// So many characters of a text are sent, with the message's id: whoever is woken reads the rest elsewhere. Twilio takes 1,600.
const LONGEST: usize = 600;

/// So many of the newest messages to a number are looked through.
const LISTED: usize = 50;

/// The longest number there is (E.164).
const LONGEST_NUMBER: usize = 15;

pub static KIND: ChannelKind = ChannelKind {
    name: "sms",
    title: "Text messages, by Twilio",
    audiences: &[Audience::Internal, Audience::Customers],
    carries: &[
        Purpose::Page,
        Purpose::Investigating,
        Purpose::Identified,
        Purpose::Monitoring,
        Purpose::Resolved,
        Purpose::Handoff,
    ],
    doubles: Doubles::Recognised,
    params: &[
        Param::required("account", ParamType::Text, "the id of the account (AC…)"),
        Param::optional("user", ParamType::Text, "the id of an API key (SK…); the account's own when left out"),
        Param::required("password", ParamType::Secret, "the account's token, or the secret of the API key"),
        Param::required(
            "from",
            ParamType::Text,
            "the sender: a number like +4915112345, a name, or the id of a messaging service (MG…)",
        ),
        Param::required("to", ParamType::List, "the numbers, each like +4915112345"),
        Param::default(CONNECTIONS, ParamType::Integer, "5", "the most messages that are handed over at once"),
        Param::default("url", ParamType::Url, "https://api.twilio.com", "where the API is"),
        CA,
        PROXY,
    ],
};

pub struct SmsFactory;

impl ChannelFactory for SmsFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let account = params.text("account")?.to_owned();
        if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(voice.unfit("`account` is no id of an account: letters and digits, beginning with AC"));
        }
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Sms {
            url: format!("{}/2010-04-01/Accounts/{account}/Messages.json", base(params, &voice)?),
            user: params.opt_text("user").map_or(account, str::to_owned),
            password: Keep::new(params.secret("password")),
            from: params.text("from")?.to_owned(),
            to: numbers(params, &voice)?,
            voice: voice.by(&line),
            line,
        }))
    }
}

/// The numbers, each once.
fn numbers(params: &Params, voice: &Voice) -> Result<Vec<String>, Fault> {
    let given = params.list("to");
    let is_number = |it: &&String| {
        let digits = it.strip_prefix('+').unwrap_or_default();
        (7..=LONGEST_NUMBER).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(at) = given.iter().position(|it| !is_number(&it)) {
        return Err(voice.unfit(format!("`to`: the {}. is no number like +4915112345", at + 1)));
    }
    let distinct: BTreeSet<&String> = given.iter().collect();
    match (given.len(), distinct.len()) {
        (0, _) => Err(voice.unfit("`to` names nobody")),
        (all, once) if all != once => Err(voice.unfit("`to` has a number twice: take one of them out")),
        _ => Ok(given),
    }
}

struct Sms {
    url: String,
    user: String,
    password: Keep,
    from: String,
    to: Vec<String>,
    line: Line,
    voice: Voice,
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct Listed {
    messages: Vec<Message>,
}

fn mark(parcel: &Parcel) -> String {
    format!("[{}]", parcel.message)
}

fn text(parcel: &Parcel) -> String {
    let mark = mark(parcel);
    let (said, _) = fitted(&format!("{}\n{}", parcel.text.subject, parcel.text.body), LONGEST - mark.len() - 1);
    format!("{said}\n{mark}")
}

fn receipt(message: &Message) -> Receipt {
    [("id".to_owned(), clean(&message.sid))].into()
}

impl Sms {
    async fn password(&self) -> Result<Secret, Fault> {
        let password = self.password.read(self.voice.channel.as_str()).await?;
        password.ok_or_else(|| self.voice.unfit("there is no password"))
    }

    /// Whom a part is for. Parts are counted when a message is composed: of another list, nobody knows who has had it.
    fn number(&self, parcel: &Parcel) -> Result<&str, Fault> {
        if usize::try_from(parcel.parts) != Ok(self.to.len()) {
            let what = "the list of numbers was changed while this message was on its way";
            return Err(self.voice.broken(what).next("send the update again: it goes to the list as it is now"));
        }
        let number = usize::try_from(parcel.part).ok().and_then(|part| self.to.get(part));
        number.map(String::as_str).ok_or_else(|| self.voice.broken("there is no such recipient"))
    }

    async fn request(
        &self,
        url: Url,
        form: Option<&[(&str, &str)]>,
        password: &Secret,
    ) -> Result<RequestBuilder, Fault> {
        let client = self.voice.client(&self.line, url.as_str()).await?;
        let request = match form {
            None => client.get(url),
            Some(form) => {
                let mut written = form_urlencoded::Serializer::new(String::new());
                let body = written.extend_pairs(form).finish();
                client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body)
            }
        };
        Ok(request.basic_auth(&self.user, Some(password.expose())))
    }

    fn at(&self, query: &[(&str, &str)]) -> Result<Url, Fault> {
        let wrong = |error| self.voice.unfit(format!("`url` is no URL: {error}"));
        if query.is_empty() { Url::parse(&self.url) } else { Url::parse_with_params(&self.url, query) }.map_err(wrong)
    }

    /// Numbers of customers are nobody's business.
    fn hidden(reply: Reply, number: &str) -> Reply {
        let digits = number.trim_start_matches('+');
        Reply { body: reply.body.replace(number, "…").replace(digits, "…"), ..reply }
    }
}

#[async_trait]
impl Channel for Sms {
    async fn parts(&self) -> Result<u32, Fault> {
        u32::try_from(self.to.len()).map_err(|_| self.voice.unfit("`to` has too many numbers"))
    }

    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let (number, password, text) = (self.number(parcel)?, self.password().await?, text(parcel));
        let sender = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let form = [("To", number), (sender, &self.from), ("Body", &text)];
        let request = self.request(self.at(&[])?, Some(&form), &password).await?;
        let reply = send(request, Some(&password)).await;
        let reply = reply.map_err(|silence| self.voice.silent(&silence, Purport::Tells))?;
        if reply.status != StatusCode::CREATED && !reply.status.is_success() {
            return Err(self.voice.refused(&Self::hidden(reply, number), Purport::Tells));
        }
        let message: Message = serde_json::from_str(&reply.body)
            .map_err(|error| self.voice.doubtful(format!("Twilio answers what cannot be read: {error}")))?;
        Ok(receipt(&message))
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        let (number, password) = (self.number(parcel)?, self.password().await?);
        let most = LISTED.to_string();
        let request = self.request(self.at(&[("To", number), ("PageSize", &most)])?, None, &password).await?;
        let listed: Listed = self.voice.read(request, Some(&password), Purport::Asks).await?;
        let (count, mark) = (listed.messages.len(), mark(parcel));
        match listed.messages.iter().find(|it| it.body.contains(&mark)) {
            Some(message) => Ok(Found::There(receipt(message))),
            // The newest come first, and ours would be the newest but for those of a busy minute.
            None if count >= LISTED => {
                Ok(Found::Untold("so much was sent there since that it was not all looked through".into()))
            }
            None => Ok(Found::NotThere),
        }
    }

    async fn reach(&self) -> Result<String, Fault> {
        let password = self.password().await?;
        let request = self.request(self.at(&[("PageSize", "1")])?, None, &password).await?;
        self.voice.ask(request, Some(&password), Purport::Asks).await?;
        Ok(format!("Twilio lets us in; {} numbers", self.to.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::super::bench::{self, Asked, Vendor, ok, says};
    use super::*;
    use crate::domain::system::FaultClass;

    fn given(url: &str, to: &[&str]) -> Value {
        json!({ "account": "AC1", "password": bench::secret("hush"), "from": "+4930111", "to": to, "url": url })
    }

    fn connect(url: &str, to: &[&str]) -> Result<Arc<dyn Channel>, Fault> {
        SmsFactory.connect(&bench::spec(&KIND, Audience::Customers, given(url, to)))
    }

    #[tokio::test]
    async fn everybody_is_told_by_a_message_of_their_own_that_is_found_again() {
        let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = sent.clone();
        let vendor = Vendor::start(move |asked: &Asked| {
            let mut kept = kept.lock().unwrap();
            let to = asked.form("To").unwrap_or_default();
            match asked.method.as_str() {
                "GET" => ok(json!({ "messages": kept.iter().filter(|it| it["to"] == to).collect::<Vec<_>>() })),
                _ if to.ends_with("999") => {
                    says(400, json!({ "code": 21211, "message": format!("{to} is not a phone number") }))
                }
                _ => {
                    let made = json!({ "sid": format!("SM{}", kept.len()), "to": to, "body": asked.form("Body") });
                    kept.push(made.clone());
                    says(201, made)
                }
            }
        })
        .await;
        let channel = connect(&vendor.url, &["+491511111111", "+491512222222", "+491513333999"]).unwrap();
        let parts = channel.parts().await.unwrap();
        let of = |part| Parcel { part, parts, ..bench::parcel(Purpose::Page) };
        assert_eq!(channel.find(&of(0)).await.unwrap(), Found::NotThere);
        assert_eq!(channel.deliver(&of(0)).await.unwrap()["id"], "SM0");
        channel.deliver(&of(1)).await.unwrap();
        assert!(matches!(channel.find(&of(0)).await.unwrap(), Found::There(receipt) if receipt["id"] == "SM0"));
        let body = sent.lock().unwrap()[1]["body"].as_str().unwrap().to_owned();
        assert!(body.starts_with("us-east-1 is down\n") && body.ends_with("[INC-20261123-1.m1]"), "{body}");
        let fault = channel.deliver(&of(2)).await.unwrap_err();
        assert!(fault.class == FaultClass::Permanent && !fault.to_string().contains("3333999"), "{fault}");
        let shifted = channel.deliver(&Parcel { parts: 2, ..of(0) }).await.unwrap_err();
        assert!(shifted.what.contains("was changed"), "nobody gets it twice: {shifted}");
        assert!(vendor.asked()[0].headers["authorization"].to_str().unwrap().starts_with("Basic "));
    }

    #[test]
    fn numbers_are_checked_before_and_never_repeated() {
        for wrong in [&[][..], &["0151 1"], &["+49 151 11111111"], &["+491511111111", "+491511111111"]] {
            let fault = connect("https://x.example", wrong).err().unwrap();
            assert!(fault.what.contains("`to`") && !fault.what.contains("151 1"), "{fault}");
        }
    }
}
