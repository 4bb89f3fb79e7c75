//! Forcing a health check: takes a region out of the answers, or holds it in, without touching a record.

use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::by_hand;
use super::guards::CONTROL_PLANE;
use super::records::RecordSet;
use super::zone::{Said, Zone};
use crate::domain::plan::StepSpec;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;
use crate::systems::aws::Call;
use crate::systems::dns::ask::Reply;
use crate::systems::permits::{Need, On};
use crate::systems::shell::quoted;

/// The words of the parameter `state`.
pub const STATES: &[&str] = &["down", "up"];

const VERSION: &str = "health-check-version";

/// The two switches of a health check, and the version that an update has to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Switches {
    check: String,
    version: i64,
    disabled: bool,
    inverted: bool,
}

impl Switches {
    fn words(&self) -> &'static str {
        match (self.disabled, self.inverted) {
            (false, false) => "as the checkers see it",
            (false, true) => "the opposite of what the checkers see",
            (true, false) => "always healthy",
            (true, true) => "always unhealthy",
        }
    }
}

pub struct Force {
    zone: Arc<Zone>,
    name: String,
    kind: String,
    identifier: String,
    down: bool,
}

impl Force {
    /// # Errors
    /// When a parameter is missing.
    pub fn new(zone: Arc<Zone>, spec: &StepSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        let kind = params.opt_text("type").unwrap_or("A").to_owned();
        let (name, identifier) = (params.text("record")?.to_owned(), params.text("identifier")?.to_owned());
        Ok(Self { zone, name, kind, identifier, down: params.opt_text("state") != Some("up") })
    }

    async fn set(&self) -> Result<RecordSet, Fault> {
        let all = self.zone.records(&self.name, &self.kind).await?;
        all.into_iter().find(|set| set.identifier() == self.identifier).ok_or_else(|| {
            self.zone.unfit(format!("{} {} has no set identifier {}", self.name, self.kind, self.identifier))
        })
    }

    async fn now(&self) -> Result<Switches, Fault> {
        let set = self.set().await?;
        let id = set
            .health_check_id
            .ok_or_else(|| self.zone.unfit(format!("{} of {} has no health check", self.identifier, self.name)))?;
        let check = self.zone.health_check(&id).await?;
        let config = check.health_check_config.as_ref();
        let switch =
            |get: fn(&aws_sdk_route53::types::HealthCheckConfig) -> Option<bool>| config.and_then(get) == Some(true);
        Ok(Switches {
            check: id,
            version: check.health_check_version,
            disabled: switch(|config| config.disabled),
            inverted: switch(|config| config.inverted),
        })
    }

    fn wanted(&self, from: &Switches) -> Switches {
        Switches { disabled: true, inverted: self.down, ..from.clone() }
    }

    fn kept(&self, pre_image: &Value) -> Result<Switches, Fault> {
        by_hand::kept(&self.zone, pre_image)
    }

    /// Sets the switches, if nobody changed the health check since `version`.
    async fn update(&self, to: &Switches, version: i64) -> Result<Receipt, Fault> {
        let ask = self.zone.client().await?.update_health_check().health_check_id(&to.check);
        let ask = ask.health_check_version(version).disabled(to.disabled).inverted(to.inverted);
        let answer = self.zone.aws.ask(Call::Mutation, "UpdateHealthCheck", ask.send()).await?;
        let version = answer.health_check.map(|check| check.health_check_version.to_string());
        Ok(version.into_iter().map(|version| (VERSION.to_owned(), version)).collect())
    }
}

/// Whether every name server that tells anything answers without `gone`, the values of what was forced down.
fn without(gone: &[String], identifier: &str, said: &[Said]) -> Verified {
    if gone.is_empty() {
        // The name of an alias that nobody can resolve: every answer would seem to be without it.
        return Verified::Pending { detail: format!("what {identifier} is answered with is not known") };
    }
    // One that fails to answer tells nothing of what it answers clients.
    let tells = |(server, reply): &'_ Said| {
        let reply = reply.as_ref().ok().filter(|reply| reply.code == ResponseCode::NoError)?;
        Some((server.clone(), reply.clone()))
    };
    let heard: Vec<(String, Reply)> = said.iter().filter_map(tells).collect();
    if heard.is_empty() {
        return Verified::Pending { detail: "no name server answers".into() };
    }
    match heard.iter().find(|(_, reply)| reply.values.iter().any(|value| gone.contains(value))) {
        Some((server, reply)) => Verified::Pending { detail: format!("{server} still answers {}", reply.words()) },
        None => {
            let detail = format!("{} of {} name servers answer without it", heard.len(), said.len());
            Verified::Holds { detail, recovery_point: None }
        }
    }
}

#[async_trait]
impl Step for Force {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        let now = self.now().await?;
        let detail = format!("{} counts {}", now.check, now.words());
        Ok(if now == self.wanted(&now) { Observed::Done { detail } } else { Observed::NotDone { detail } })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let now = self.now().await?;
        let wanted = self.wanted(&now);
        let line = |switches: &Switches| {
            let (check, disabled, inverted) = (&switches.check, switches.disabled, switches.inverted);
            clean(&format!("{check}: Disabled {disabled}, Inverted {inverted} ({})", switches.words()))
        };
        let pre_image = serde_json::to_value(&now).map_err(|error| self.zone.unfit(error.to_string()))?;
        Ok(Preview {
            summary: clean(&format!("{} of {}: {} → {}", self.identifier, self.name, now.words(), wanted.words())),
            diff: vec![format!("-{}", line(&now)), format!("+{}", line(&wanted))],
            pre_image,
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        self.now().await?;
        let what = format!("health checks are changed in {CONTROL_PLANE}, wherever their endpoints are");
        Ok(Checked { guards: vec![Guard::warn("control-plane", what)], promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before = self.kept(pre_image)?;
        log.line(&format!("forcing {} {}", before.check, if self.down { "down" } else { "up" }));
        self.update(&self.wanted(&before), before.version).await
    }

    async fn verify(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let now = self.now().await?;
        if now != self.wanted(&now) {
            return Ok(Verified::Broken { why: format!("{} counts {}: somebody changed it", now.check, now.words()) });
        }
        if !self.down {
            return Ok(Verified::Holds {
                detail: format!("{} counts {}", now.check, now.words()),
                recovery_point: None,
            });
        }
        // Forced down, it must not be answered by any server that speaks.
        let gone = self.zone.values(&self.set().await?).await;
        Ok(without(&gone, &self.identifier, &self.zone.ask_servers(&self.name, &self.kind).await?))
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (before, now) = (self.kept(&begun.pre_image)?, self.now().await?);
        if (now.disabled, now.inverted) == (before.disabled, before.inverted) {
            log.line("the health check is already set as it was before");
            return Ok(Receipt::new());
        }
        // The version of our own update; after a crash that lost it, the present one if the switches are as we set them.
        let ours = begun.receipt.get(VERSION).and_then(|version| version.parse().ok());
        let version = match ours {
            Some(version) => version,
            None if now == Switches { version: now.version, ..self.wanted(&before) } => now.version,
            None => {
                let what = format!("{} counts {}, which is not what this step made of it", now.check, now.words());
                return Err(Fault::permanent(&self.zone.system, what)
                    .means("somebody changed it; nothing was overwritten")
                    .next("set it by hand"));
            }
        };
        self.update(&before, version).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        // Policies name single health checks: which it is, the record tells.
        let check = self.now().await.ok().map(|it| it.check);
        let on = || On::HealthCheck(check.clone());
        let mut needs: Vec<Need> =
            ["route53:UpdateHealthCheck", "route53:GetHealthCheck"].map(|action| Need::new(action, on())).into();
        needs.push(Need::new("route53:ListResourceRecordSets", On::Zone(self.zone.id.clone())));
        self.zone.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        let query = format!(
            "ResourceRecordSets[?Name=='{}.' && SetIdentifier=='{}'].HealthCheckId",
            self.name.trim_end_matches('.').replace('*', "\\052"),
            self.identifier
        );
        let (zone, inverted) = (quoted(&self.zone.id), if self.down { "--inverted" } else { "--no-inverted" });
        let mut lines = vec![
            format!("# force the health check of {} {}", self.identifier, if self.down { "down" } else { "up" }),
            format!("hc=$(aws route53 list-resource-record-sets --hosted-zone-id {zone} --query {} --output text)", quoted(&query)),
            "version=$(aws route53 get-health-check --health-check-id \"$hc\" --query HealthCheck.HealthCheckVersion --output text)".into(),
            format!("aws route53 update-health-check --health-check-id \"$hc\" --health-check-version \"$version\" --disabled {inverted}"),
        ];
        lines.extend(by_hand::look(&self.zone, &self.name, &self.kind));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: ResponseCode, values: &[&str]) -> Result<Reply, String> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Ok(Reply { code, authoritative: true, values, ttl: Some(60), elsewhere: None })
    }

    #[test]
    fn who_tells_nothing_does_not_answer_without_it() {
        let (east, ok) = (["192.0.2.1".to_owned()], ResponseCode::NoError);
        let silent = || Err("no answer".to_owned());
        let rows = [
            ("all are without it", &east[..], vec![reply(ok, &["192.0.2.9"]), reply(ok, &[])], Some("2 of 2")),
            ("one still has it", &east, vec![reply(ok, &["192.0.2.9"]), reply(ok, &["192.0.2.1"])], None),
            ("half an answer", &east, vec![reply(ok, &["192.0.2.9"]), silent()], Some("1 of 2")),
            ("all are silent", &east, vec![silent(), silent()], None),
            ("all fail", &east, vec![reply(ResponseCode::ServFail, &[]), reply(ResponseCode::Refused, &[])], None),
            ("an alias that nobody can resolve", &[], vec![reply(ok, &["192.0.2.1"])], None),
        ];
        for (what, gone, replies, wanted) in rows {
            let said: Vec<Said> = replies.into_iter().map(|reply| ("ns".to_owned(), reply)).collect();
            match (without(gone, "east", &said), wanted) {
                (Verified::Holds { detail, .. }, Some(words)) => assert!(detail.contains(words), "{what}: {detail}"),
                (Verified::Pending { .. }, None) => {}
                (seen, _) => panic!("{what}: {seen:?}"),
            }
        }
    }
}
