//! Counts and checksums that an application computes over its own stores: the same question before and after a failover.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::KIND;
use super::exchange::Target;
use crate::domain::checklist::{Sum, Tally};
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;

/// The name of the kind.
pub const INTEGRITY: &str = "http.integrity";

/// Asks what is held of everything that was written until then.
///
/// # Errors
/// When there is no answer, or one of the stores could not be counted: a sum that leaves one out would look like a whole one.
pub async fn tally(spec: &ProbeSpec, until: Option<At>, patience: Duration) -> Result<Tally, Fault> {
    let params = &spec.params;
    let unsound = |why: String| Fault::permanent(KIND.name, why).next("run `mayday check`");
    let mut target = Target::new(params.text("url")?, params).map_err(unsound)?;
    if let Some(until) = until {
        target.url.query_pairs_mut().append_pair(params.text("until")?, &until.to_string());
    }
    let lost = |why: String| Fault::transient(KIND.name, format!("what the stores hold cannot be counted: {why}"));
    let reply = target.ask(Method::GET, patience).await.map_err(|why| match why.is_unknown() {
        true => Fault::permanent(KIND.name, why.words()).means("what the stores hold is not known"),
        false => lost(why.words()),
    })?;
    if let Some(why) = reply.broken() {
        return Err(lost(why));
    }
    if matches!(reply.status, 401 | 403 | 407 | 429) {
        return Err(Fault::permanent(KIND.name, format!("Mayday is refused: {}", reply.words()))
            .means("what the stores hold is not known")
            .next("look at the credentials and the limits that Mayday meets there"));
    }
    if !reply.is_success() {
        return Err(lost(reply.words()));
    }
    let body = reply.json().ok_or_else(|| lost(format!("the answer is not JSON: {}", reply.words())))?;
    let pointer = params.text("pointer")?;
    let Some(Value::Object(stores)) = body.pointer(pointer) else {
        return Err(lost(format!("nothing is counted at {pointer}: {}", reply.words())));
    };
    let sums: Result<BTreeMap<String, Sum>, Fault> = stores.iter().map(|(name, sum)| one(name, sum)).collect();
    sums.and_then(|sums| if sums.is_empty() { Err(lost("no store is counted".into())) } else { Ok(sums) })
}

fn one(name: &str, sum: &Value) -> Result<(String, Sum), Fault> {
    let name = clean(name);
    let Some(count) = sum.get("count").and_then(Value::as_u64) else {
        return Err(Fault::transient(KIND.name, format!("{name} cannot be counted now")));
    };
    let checksum = sum.get("checksum").and_then(Value::as_str).map(clean);
    Ok((name, Sum { count, checksum }))
}

/// As a probe: whether it can be counted at all.
pub async fn probe(spec: &ProbeSpec) -> Reading {
    match tally(spec, None, spec.timeout.0.mul_f64(0.9)).await {
        Ok(tally) => Reading::healthy(format!("{} stores counted", tally.len())),
        Err(fault) if fault.class == FaultClass::Permanent => Reading::unknown(fault.what),
        Err(fault) => Reading::down(fault.what),
    }
}
