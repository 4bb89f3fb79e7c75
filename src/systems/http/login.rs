//! Signing in as a user does: the credentials are taken, and the session that they open is good for something.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::KIND;
use super::exchange::{Order, Reply, Target};
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::text::clean;
use crate::outbound::{redact, secret};

/// The name of the kind.
pub const LOGIN: &str = "http.login";

/// Signs in once, then asks who is signed in. Whoever is held back has learnt nothing; whatever a user would be told, is down.
pub async fn probe(spec: &ProbeSpec) -> Reading {
    match sign_in(spec).await {
        Ok(reading) | Err(reading) => reading,
    }
}

async fn sign_in(spec: &ProbeSpec) -> Result<Reading, Reading> {
    let params = &spec.params;
    let text = |name| params.text(name).map_err(|fault| Reading::unknown(fault.to_string()));
    let target = |name| Target::new(text(name)?, params).map_err(Reading::unknown);
    let username = text("username")?;
    let place = params.secret("password").ok_or_else(|| Reading::unknown("no place of a password is known"))?;
    let password = secret::read(&place, KIND.name).await.map_err(|fault| Reading::unknown(fault.to_string()))?;
    let patience = spec.timeout.0.mul_f64(0.45);
    let mut order = Order::new(Method::POST);
    order.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    order.body = json!({ "username": username, "password": password.expose() }).to_string();
    let opened = target("url")?.send(&order, patience).await.map_err(|silence| silence.reading())?;
    let token = found(&opened, text("token_pointer")?, "nobody can sign in", &[password.expose()])?;
    let mut order = Order::new(Method::GET);
    let bearer = HeaderValue::try_from(format!("Bearer {token}"));
    order.proof.insert(AUTHORIZATION, bearer.map_err(|_| Reading::down("the token that was given cannot be sent"))?);
    let asked = target("session_url")?.send(&order, patience).await.map_err(|silence| silence.reading())?;
    let secrets = [password.expose(), &token];
    let who = found(&asked, text("user_pointer")?, "the session that was opened is not known", &secrets)?;
    if who != username {
        return Err(Reading::down(format!("signed in as {username}, and is taken for {}", shown(&who, &secrets))));
    }
    let took = opened.took + asked.took;
    Ok(Reading::healthy(format!("{username} signs in, in {} ms", took.as_millis())).took(took))
}

/// So much of an answer is shown to people, in characters.
const SHOWN: usize = 160;

/// A text from outside without the secrets that it may repeat.
fn shown(text: &str, secrets: &[&str]) -> String {
    clean(&secrets.iter().fold(text.to_owned(), |text, secret| redact::answer(&text, secret)))
}

/// A text of the answer; the answer itself may hold a token, and is only shown when it is an error.
fn found(reply: &Reply, pointer: &str, otherwise: &str, secrets: &[&str]) -> Result<String, Reading> {
    if reply.status == 429 {
        return Err(Reading::unknown(format!("Mayday is held back: {}", reply.status)));
    }
    if let Some(leads) = &reply.leads {
        return Err(Reading::down(format!("{otherwise}: {}, and leads to {leads}", reply.status)));
    }
    if !reply.is_success() {
        let body = shown(&reply.body, secrets).chars().take(SHOWN).collect::<String>();
        return Err(Reading::down(format!("{otherwise}: {} {body}", reply.status)));
    }
    let body = reply.json().unwrap_or_default();
    let text = body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Reading::down(format!("{otherwise}: the answer says nothing at {pointer}")))
}
