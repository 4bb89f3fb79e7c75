//! One call of a method: its arguments, however they came, and what it may answer.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::inbox::Inbox;
use super::super::world::Pace;
use super::{Channel, Ts, Workspace};

/// What a call is answered with: the fields beside `ok`, or why not.
pub type Answered = Result<Value, Refusal>;

/// Why a call is refused.
pub enum Refusal {
    /// Slack's word for it.
    Error(&'static str),
    /// An argument is missing or wrong, with a sentence.
    Arguments(String),
    /// The token may not do that.
    Scope,
    /// Too many; after so long there is room.
    Throttled(Duration),
}

impl From<&'static str> for Refusal {
    fn from(error: &'static str) -> Self {
        Self::Error(error)
    }
}

impl Refusal {
    /// The fields of the answer.
    pub fn told(&self) -> Value {
        match self {
            Self::Error(error) => json!({ "ok": false, "error": error }),
            Self::Arguments(why) => {
                json!({ "ok": false, "error": "invalid_arguments", "response_metadata": { "messages": [why] } })
            }
            Self::Scope => json!({
                "ok": false, "error": "missing_scope", "needed": "chat:write,channels:manage,channels:join",
                "provided": "channels:read,channels:history",
            }),
            Self::Throttled(_) => json!({ "ok": false, "error": "ratelimited" }),
        }
    }
}

/// The arguments by name. Those of a form and of a query are strings, even where JSON has something better.
#[derive(Default)]
pub struct Args(pub Map<String, Value>);

impl Args {
    pub fn take_pairs(&mut self, encoded: &[u8]) {
        self.0.extend(
            form_urlencoded::parse(encoded).map(|(name, value)| (name.into_owned(), value.into_owned().into())),
        );
    }

    /// A string that is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// # Errors
    /// When it is missing.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::Arguments(format!("[ERROR] missing required field: {name}")))
    }

    pub fn flag(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            _ => false,
        }
    }

    /// A whole number, or what is taken when it is left out.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(default),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
        };
        number.ok_or_else(|| Refusal::Arguments(format!("[ERROR] must be an integer: {name}")))
    }

    /// # Errors
    /// When it is no moment.
    pub fn moment(&self, name: &str, wrong: &'static str) -> Result<Option<Ts>, Refusal> {
        self.text(name).map(|text| Ts::parse(text).ok_or(Refusal::Error(wrong))).transpose()
    }

    /// A value of JSON, which a form has as a string.
    ///
    /// # Errors
    /// When the string is no JSON.
    pub fn json(&self, name: &str, wrong: &'static str) -> Result<Option<Value>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| Refusal::Error(wrong)),
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

/// A call that was let in.
pub struct Call<'a> {
    pub workspace: &'a mut Workspace,
    pub inbox: &'a mut Inbox,
    pub args: &'a Args,
    pub now: Timestamp,
    pub pace: Pace,
}

impl Call<'_> {
    /// The place of the channel that the arguments name by its id.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&self) -> Result<usize, Refusal> {
        let wanted = self.args.required("channel")?;
        self.workspace.channels.iter().position(|it| it.id == wanted).ok_or(Refusal::Error("channel_not_found"))
    }

    /// The channel that the arguments name by its id.
    ///
    /// # Errors
    /// When there is none.
    pub fn channel(&self) -> Result<&Channel, Refusal> {
        Ok(&self.workspace.channels[self.place()?])
    }
}
