//! A conversation: who it is, whom the letter is from and for, and the letter.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::super::faults::Condition;
use super::super::inbox::Message;
use super::super::world::World;
use super::letter::Letter;
use super::wire::Wire;
use super::{HOST, LARGEST, NOBODY, PASSWORD, PLACE, RECIPIENTS, USER, command};

/// How many commands may be wrong before the client is hung up on.
const PATIENCE: usize = 20;

/// What becomes of the connection after a command.
enum Next {
    Go,
    Reply(&'static str),
    StartTls,
    HangUp,
    /// The answer breaks off.
    BreakOff,
}

/// One client.
pub struct Session {
    world: World,
    secure: bool,
    /// What the client calls itself.
    hello: Option<String>,
    user: bool,
    from: Option<String>,
    recipients: Vec<String>,
    /// How often it was told to come back later.
    put_off: usize,
    wrong: usize,
}

impl Session {
    pub fn new(world: World) -> Self {
        let recipients = Vec::new();
        Self { world, secure: false, hello: None, user: false, from: None, recipients, put_off: 0, wrong: 0 }
    }

    pub fn is_secure(&mut self) {
        self.secure = true;
    }

    pub async fn greet(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(format!("220 {HOST} ESMTP\r\n").as_bytes()).await?;
        stream.flush().await
    }

    fn condition(&self) -> Condition {
        self.world.condition(PLACE, None)
    }

    /// Talks until one of the two has enough: `None`, or the connection that is to be secured.
    pub async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: S) -> io::Result<Option<S>> {
        let mut wire = Wire::new(stream);
        loop {
            let line = match wire.line().await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    wire.reply("500 5.5.2 Lines end in CR LF and are not longer than 12288 octets");
                    wire.hang_up().await?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            match self.obey(&line, &mut wire).await? {
                Next::Go => {}
                Next::Reply(text) => {
                    self.wrong += usize::from(text.starts_with('5'));
                    wire.reply(text);
                }
                Next::StartTls => {
                    wire.flush().await?;
                    return Ok(Some(wire.into_inner()));
                }
                Next::HangUp => {
                    wire.hang_up().await?;
                    return Ok(None);
                }
                Next::BreakOff => {
                    wire.break_off().await?;
                    return Ok(None);
                }
            }
            if self.wrong > PATIENCE {
                wire.reply("421 4.7.0 Too many errors");
                wire.hang_up().await?;
                return Ok(None);
            }
        }
    }

    async fn obey<S: AsyncRead + AsyncWrite + Unpin>(&mut self, line: &str, wire: &mut Wire<S>) -> io::Result<Next> {
        let (verb, rest) = command::split(line);
        Ok(match verb.as_str() {
            "EHLO" | "HELO" => {
                self.hello(&verb, rest, wire);
                Next::Go
            }
            "STARTTLS" if self.secure => Next::Reply("503 5.5.1 TLS is active already"),
            "STARTTLS" if !rest.is_empty() => Next::Reply("501 5.5.4 STARTTLS has no parameters"),
            "STARTTLS" => {
                wire.reply("220 2.0.0 Ready to start TLS");
                Next::StartTls
            }
            "AUTH" => Next::Reply(self.auth(rest, wire).await?),
            "MAIL" => self.mail(rest, wire),
            "RCPT" => Next::Reply(self.recipient(rest)),
            "DATA" => self.data(wire).await?,
            "RSET" => {
                self.forget();
                Next::Reply("250 2.0.0 Ok")
            }
            "NOOP" => Next::Reply("250 2.0.0 Ok"),
            "VRFY" => Next::Reply("252 2.1.5 Send a letter and see"),
            "QUIT" => {
                wire.reply("221 2.0.0 Bye");
                Next::HangUp
            }
            _ => Next::Reply("502 5.5.1 Command not implemented"),
        })
    }

    fn hello<S: AsyncRead + AsyncWrite + Unpin>(&mut self, verb: &str, name: &str, wire: &mut Wire<S>) {
        if name.is_empty() {
            return wire.reply("501 5.5.4 Say who you are");
        }
        self.forget();
        self.hello = Some(name.to_owned());
        if verb == "HELO" {
            return wire.reply(&format!("250 {HOST}"));
        }
        wire.reply(&format!("250-{HOST}"));
        wire.reply("250-PIPELINING");
        wire.reply(&format!("250-SIZE {LARGEST}"));
        if !self.secure {
            wire.reply("250-STARTTLS");
        }
        wire.reply("250-AUTH PLAIN LOGIN");
        wire.reply("250-ENHANCEDSTATUSCODES");
        wire.reply("250 8BITMIME");
    }

    fn forget(&mut self) {
        self.from = None;
        self.recipients.clear();
    }

    async fn auth<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        rest: &str,
        wire: &mut Wire<S>,
    ) -> io::Result<&'static str> {
        if self.hello.is_none() || self.user || self.from.is_some() {
            return Ok("503 5.5.1 Bad sequence of commands");
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let initial = (!initial.is_empty()).then(|| initial.to_owned());
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let whole = decoded(prompt(wire, initial, "334 ").await?);
                whole.and_then(|whole| {
                    let mut parts = whole.splitn(3, '\0').skip(1).map(str::to_owned);
                    Some((parts.next()?, parts.next()?))
                })
            }
            "LOGIN" => {
                let user = decoded(prompt(wire, initial, "334 VXNlcm5hbWU6").await?);
                let password = decoded(prompt(wire, None, "334 UGFzc3dvcmQ6").await?);
                user.zip(password)
            }
            _ => return Ok("504 5.5.4 Unrecognized authentication type"),
        };
        let Some((user, password)) = given else { return Ok("501 5.5.2 Cannot decode the response") };
        self.user = user == USER && password == PASSWORD && self.condition() != Condition::Denied;
        Ok(if self.user {
            "235 2.7.0 Authentication successful"
        } else {
            "535 5.7.8 Authentication credentials invalid"
        })
    }

    fn mail<S: AsyncRead + AsyncWrite + Unpin>(&mut self, rest: &str, wire: &mut Wire<S>) -> Next {
        match self.condition() {
            Condition::Denied => self.user = false,
            Condition::ReadOnly => return Next::Reply("550 5.7.1 Sending is suspended for this account"),
            Condition::Throttled => {
                self.put_off += 1;
                if self.put_off == 1 {
                    return Next::Reply("452 4.3.1 Too much mail, try again later");
                }
                wire.reply("421 4.7.0 Too much mail, closing the connection");
                return Next::HangUp;
            }
            _ => {}
        }
        if self.hello.is_none() || self.from.is_some() {
            return Next::Reply("503 5.5.1 Bad sequence of commands");
        }
        if !self.user {
            return Next::Reply("530 5.7.0 Authentication required");
        }
        let Some((from, parameters)) = command::path(rest, "FROM") else {
            return Next::Reply("501 5.1.7 Bad sender address syntax");
        };
        for (name, value) in parameters {
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<usize>() {
                    Ok(size) if size <= LARGEST => {}
                    Ok(_) => return Next::Reply("552 5.3.4 Message size exceeds fixed limit"),
                    Err(_) => return Next::Reply("501 5.5.4 Bad size"),
                },
                "BODY" if matches!(value.to_ascii_uppercase().as_str(), "7BIT" | "8BITMIME") => {}
                "AUTH" => {}
                _ => return Next::Reply("555 5.5.4 Unsupported option"),
            }
        }
        self.from = Some(from.to_owned());
        Next::Reply("250 2.1.0 Ok")
    }

    fn recipient(&mut self, rest: &str) -> &'static str {
        let Some(from) = &self.from else { return "503 5.5.1 Bad sequence of commands" };
        let Some((to, mut parameters)) = command::path(rest, "TO").filter(|(to, _)| !to.is_empty()) else {
            return "501 5.1.3 Bad recipient address syntax";
        };
        if parameters.next().is_some() {
            return "555 5.5.4 Unsupported option";
        }
        if self.recipients.len() == RECIPIENTS {
            return "452 4.5.3 Too many recipients";
        }
        if to.split('@').next() == Some(NOBODY) {
            return "550 5.1.1 User unknown";
        }
        let pace = self.world.pace;
        if !self.world.truth().greylist.admits(from, to, Timestamp::now(), pace) {
            return "450 4.2.0 Greylisted, try again later";
        }
        self.recipients.push(to.to_owned());
        "250 2.1.5 Ok"
    }

    async fn data<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &mut Wire<S>) -> io::Result<Next> {
        if self.from.is_none() {
            return Ok(Next::Reply("503 5.5.1 Bad sequence of commands"));
        }
        if self.recipients.is_empty() {
            return Ok(Next::Reply("554 5.5.1 No valid recipients"));
        }
        wire.reply("354 End data with <CR><LF>.<CR><LF>");
        wire.flush().await?;
        let letter = wire.letter().await?;
        let Some(letter) = letter else {
            self.forget();
            return Ok(Next::Reply("552 5.3.4 Message size exceeds fixed limit"));
        };
        let serial = self.keep(&letter);
        wire.reply(&format!("250 2.0.0 Ok: queued as LAB{serial:07}"));
        Ok(if self.condition() == Condition::Half { Next::BreakOff } else { Next::Go })
    }

    /// Puts the letter into the inbox.
    fn keep(&mut self, source: &[u8]) -> u64 {
        let letter = Letter::read(source);
        let details = json!({
            "from": self.from.take(), "hello": self.hello, "tls": self.secure, "headers": letter.headers,
            "source": String::from_utf8_lossy(source),
        });
        let message = Message {
            service: PLACE,
            kind: "letter",
            to: std::mem::take(&mut self.recipients),
            title: letter.subject(),
            mark: letter.header("message-id").map(str::to_owned),
            text: letter.text,
            details,
            ..Message::default()
        };
        self.world.truth().inbox.take(message)
    }
}

/// What the client says to a prompt, unless it said it before it was asked.
async fn prompt<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    initial: Option<String>,
    words: &str,
) -> io::Result<String> {
    if let Some(initial) = initial {
        return Ok(initial);
    }
    wire.reply(words);
    wire.line().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn decoded(text: String) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}
