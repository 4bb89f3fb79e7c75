//! What is asked of an application along its clients' path: a transaction that it really made, and how new its data is.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::KIND;
use super::exchange::{Reply, Target};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{Fault, Guard, StepLog, Verified};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::looking::Look;
use crate::systems::reach::Reach;
use crate::systems::shell::quoted;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn target(spec: &StepSpec) -> Result<Target, Fault> {
    let unsound = |why: String| Fault::permanent(KIND.name, why).next("run `mayday check`");
    Reach::of(&spec.params).vet().map_err(unsound)?;
    Target::new(spec.params.text("url")?, &spec.params).map_err(unsound)
}

/// Whether an address answers at all, asked without changing anything (RFC 9110: neither GET nor HEAD does). That it does not allow the
/// method is an answer, too; that it lets nobody in, or cannot serve, is none.
async fn reach(target: &Target, method: Method) -> Result<Guard, Fault> {
    let unknown = |why: String| {
        Fault::transient(KIND.name, format!("{} cannot be asked: {why}", host(target)))
            .means("whether clients can use the application is not known")
            .next("look at the address, the way to it and the credentials")
    };
    let reply = target.ask(method, PATIENCE).await.map_err(|why| unknown(why.words()))?;
    match reply.status {
        _ if refuses(reply.status) => Err(unknown(format!("Mayday is refused: {}", reply.words()))),
        500.. => Err(unknown(reply.words())),
        status => Ok(Guard::pass("reach", format!("{} answers ({status})", host(target)))),
    }
}

/// Whoever is let in nowhere, or is held back, learns nothing of what clients are told.
fn refuses(status: u16) -> bool {
    matches!(status, 401 | 403 | 407 | 429)
}

fn refused(target: &Target, reply: &Reply) -> Fault {
    Fault::transient(KIND.name, format!("{} refuses Mayday: {}", host(target), reply.words()))
        .means("whether clients are served is not known")
        .next("look at the credentials and the limits that Mayday meets there")
}

/// Writes and reads as a client does, several times in a row.
pub struct Transaction {
    target: Target,
    /// The region that has to serve it, if the plan says one.
    region: Option<RegionId>,
    times: u64,
    region_at: String,
    written_at: String,
    read_at: String,
}

impl Transaction {
    pub fn new(spec: &StepSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        Ok(Self {
            target: target(spec)?,
            region: spec.region.clone(),
            times: params.integer("times")?.max(1),
            region_at: params.text("region_pointer")?.to_owned(),
            written_at: params.text("written_pointer")?.to_owned(),
            read_at: params.text("read_pointer")?.to_owned(),
        })
    }

    /// What was written, if the answer proves that it was written, read back, and by the right region. A 200 alone proves nothing.
    fn proven(&self, reply: &Reply) -> Result<String, String> {
        if !reply.is_success() {
            return Err(reply.words());
        }
        let body = reply.json().ok_or_else(|| format!("the answer is not JSON: {}", reply.words()))?;
        let value = |pointer: &str| match body.pointer(pointer) {
            None | Some(Value::Null) => Err(format!("the answer says nothing at {pointer}: {}", reply.words())),
            Some(value) => Ok(words(value)),
        };
        if let Some(wanted) = &self.region {
            let served = value(&self.region_at)?;
            if served != wanted.as_str() {
                return Err(format!("served by {served}, not by {wanted}: clients are still sent there"));
            }
        }
        let (written, read) = (value(&self.written_at)?, value(&self.read_at)?);
        if written != read {
            return Err(format!("wrote {written} and read {read}"));
        }
        Ok(written)
    }
}

fn words(value: &Value) -> String {
    clean(value.as_str().unwrap_or(&value.to_string()))
}

#[async_trait]
impl Look for Transaction {
    fn system(&self) -> &str {
        KIND.name
    }

    fn summary(&self) -> String {
        let by = self.region.as_ref().map(|region| format!(", served by {region}")).unwrap_or_default();
        format!("{} transactions in a row at {}{by}", self.times, host(&self.target))
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        reach(&self.target, Method::HEAD).await
    }

    async fn look(&self, log: &dyn StepLog) -> Result<Verified, Fault> {
        let mut seen = BTreeSet::new();
        for _ in 0..self.times {
            let outcome = match self.target.ask(Method::POST, PATIENCE).await {
                Ok(reply) if refuses(reply.status) => return Err(refused(&self.target, &reply)),
                Err(why) if why.is_unknown() => return Err(Fault::transient(KIND.name, why.words())),
                Ok(reply) => self.proven(&reply).map(|written| (written, reply.took)),
                Err(why) => Err(why.words()),
            };
            match outcome {
                Ok((written, took)) => {
                    log.line(&format!("wrote and read {written} in {} ms", took.as_millis()));
                    if !seen.insert(written) {
                        let detail = "the same answer twice: a cache answers, not the application".into();
                        return Ok(Verified::Pending { detail });
                    }
                }
                Err(why) => return Ok(Verified::Pending { detail: why }),
            }
        }
        let by = self.region.as_ref().map(|region| format!(" by {region}")).unwrap_or_default();
        let detail = format!("{} transactions in a row, written and read back{by}", self.times);
        Ok(Verified::Holds { detail, recovery_point: None })
    }

    fn by_hand(&self) -> Vec<String> {
        let wanted =
            self.region.as_ref().map(|region| format!(" and {} is {region}", self.region_at)).unwrap_or_default();
        vec![
            format!("# right when {} and {} are the same{wanted}", self.written_at, self.read_at),
            format!("curl -sS -X POST {}", quoted(self.target.url.as_str())),
        ]
    }
}

/// Reads from an application how new its data is.
pub struct Measure {
    target: Target,
    pointer: String,
    region: Option<RegionId>,
}

impl Measure {
    pub fn new(spec: &StepSpec) -> Result<Self, Fault> {
        let pointer = spec.params.text("pointer")?.to_owned();
        Ok(Self { target: target(spec)?, pointer, region: spec.region.clone() })
    }
}

#[async_trait]
impl Look for Measure {
    fn system(&self) -> &str {
        KIND.name
    }

    fn summary(&self) -> String {
        format!("read {} of {}", self.pointer, host(&self.target))
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        reach(&self.target, Method::GET).await
    }

    async fn look(&self, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let reply = match self.target.ask(Method::GET, PATIENCE).await {
            Ok(reply) if reply.is_success() => reply,
            Ok(reply) if refuses(reply.status) => return Err(refused(&self.target, &reply)),
            Ok(reply) => return Ok(Verified::Pending { detail: reply.words() }),
            Err(why) if why.is_unknown() => return Err(Fault::transient(KIND.name, why.words())),
            Err(why) => return Ok(Verified::Pending { detail: why.words() }),
        };
        let body = reply.json().unwrap_or_default();
        // Nothing is unknown, and never "no loss".
        let said = match body.pointer(&self.pointer) {
            None | Some(Value::Null) => {
                let detail = format!("nothing at {}: the copy cannot be read ({})", self.pointer, reply.words());
                return Ok(Verified::Pending { detail });
            }
            Some(value) => words(value),
        };
        let Ok(at) = said.parse::<At>() else {
            return Ok(Verified::Broken {
                why: format!("{} is `{said}`, which is no moment (RFC 3339)", self.pointer),
            });
        };
        let source = format!("{} as {} reads it", self.pointer, host(&self.target));
        let point = RecoveryPoint { at, region: self.region.clone(), source, measured: true };
        Ok(Verified::Holds { detail: format!("the newest write is of {at}"), recovery_point: Some(point) })
    }

    fn by_hand(&self) -> Vec<String> {
        let path = format!("getpath({})", jq_path(&self.pointer));
        vec![
            "# the newest write on the copy that serves".into(),
            format!("curl -sS {} | jq -r {}", quoted(self.target.url.as_str()), quoted(&path)),
        ]
    }
}

/// A JSON pointer (RFC 6901) as `jq` wants it.
fn jq_path(pointer: &str) -> String {
    let keys: Vec<String> = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    Value::from(keys).to_string()
}

fn host(target: &Target) -> String {
    clean(target.url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_turned_away_has_learnt_nothing() {
        for (status, turned_away) in [
            (200, false),
            (301, false),
            (400, false),
            (401, true),
            (403, true),
            (404, false),
            (407, true),
            (429, true),
            (500, false),
            (503, false),
        ] {
            assert_eq!(refuses(status), turned_away, "{status}");
        }
    }
}
