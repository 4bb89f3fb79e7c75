//! Turning the switches: the region that shall serve on, all others off, at once.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::cluster::Switches;
use super::{Controls, words};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::readiness::CONTROL_PLANE_GUARD;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;
use crate::systems::dns::addresses;
use crate::systems::permits::{Need, On};
use crate::systems::route53::served::{Served, by_value, look};
use crate::systems::shell::quoted;

/// The guard of a rule of the cluster that refused the change. Whoever overrides it has the rule overridden.
const RULE: &str = "safety-rule";

/// So many endpoints of five may be gone before it is a matter of luck.
const SPARE: usize = 2;

pub struct Switch {
    controls: Arc<Controls>,
    to: RegionId,
    name: String,
    kind: String,
}

impl Switch {
    /// # Errors
    /// When the plan does not say where to, or that region has no switch.
    pub fn new(controls: Arc<Controls>, spec: &StepSpec) -> Result<Self, Fault> {
        let system = &controls.cluster.system;
        let unfit = |what: String| {
            Fault::permanent(system, what)
                .means("this step cannot move the traffic")
                .next("correct `region` in the plan, or `controls` of the system")
        };
        let to = spec.region.clone();
        let to = to.ok_or_else(|| unfit(format!("the step `{}` does not say where to", spec.id)))?;
        if !controls.cluster.controls.contains_key(&to) {
            return Err(unfit(format!("{to} has no routing control")));
        }
        let (name, kind) = (spec.params.text("record")?.to_owned(), spec.params.opt_text("type").unwrap_or("A"));
        let kind = kind.to_owned();
        Ok(Self { controls, to, name, kind })
    }

    fn wanted(&self) -> Switches {
        self.controls.cluster.controls.keys().map(|region| (region.clone(), *region == self.to)).collect()
    }

    async fn served(&self) -> Result<Served, Fault> {
        let system = &self.controls.cluster.system;
        let mut servers: Vec<(String, SocketAddr)> = Vec::new();
        for name in &self.controls.servers {
            let found = addresses(name).await.map_err(|why| Fault::transient(system, why))?;
            servers.extend(found.first().map(|address| (clean(name), *address)));
        }
        let known = by_value(&self.controls.answers);
        look(&known, &servers, (&self.name, &self.kind), 1).await.map_err(|why| Fault::permanent(system, why))
    }

    fn refused(&self) -> Vec<String> {
        self.controls.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, rules: Vec<String>) {
        *self.controls.refused.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    fn kept(&self, pre_image: &Value) -> Result<Switches, Fault> {
        serde_json::from_value(pre_image.clone()).map_err(|_| {
            Fault::permanent(
                &self.controls.cluster.system,
                "the journal holds nothing of how the switches stood before",
            )
            .means("there is nothing to restore")
            .next("turn them by hand if they have to be different")
        })
    }

    /// Sets all switches; rules that refuse it are remembered, so that a person can be asked.
    async fn set(&self, to: &Switches, overridden: &[String]) -> Result<String, Fault> {
        let sent = self.controls.cluster.set(to, overridden).await;
        sent.map_err(|fault| {
            let rules = rules_in(&fault.what);
            if rules.is_empty() {
                return fault;
            }
            let told = rules.join(", ");
            self.remember(rules);
            fault
                .means(format!("a safety rule of the cluster refuses it ({told}); nothing was changed"))
                .next("see what the rule protects; then retry the step, and override the guard `safety-rule` by typing")
        })
    }
}

/// The ARNs of the safety rules that a refusal names.
fn rules_in(what: &str) -> Vec<String> {
    if !what.contains("ConflictException") {
        return Vec::new();
    }
    let words = what.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '[' | ']' | '(' | ')'));
    let arns = words.filter(|word| word.starts_with("arn:") && word.contains("/safetyrule/"));
    arns.map(|arn| arn.trim_end_matches('.').to_owned()).collect()
}

#[async_trait]
impl Step for Switch {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        let now = self.controls.cluster.switches().await?;
        let detail = words(&now);
        Ok(if now == self.wanted() { Observed::Done { detail } } else { Observed::NotDone { detail } })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (now, wanted) = (self.controls.cluster.switches().await?, self.wanted());
        let pre_image = serde_json::to_value(&now)
            .map_err(|error| Fault::permanent(&self.controls.cluster.system, error.to_string()))?;
        let diff = vec![format!("-{}", words(&now)), format!("+{}", words(&wanted))];
        Ok(Preview { summary: format!("{} → {}", words(&now), words(&wanted)), diff, pre_image })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (answer, all) = self.controls.cluster.answering().await;
        let told = format!("{answer} of {all} endpoints of the cluster answer");
        let mut guards = vec![
            Guard::pass(CONTROL_PLANE_GUARD, "none is needed: the cluster answers in five regions"),
            match answer + SPARE >= all {
                true => Guard::pass("endpoints", told),
                false => Guard::warn("endpoints", told),
            },
        ];
        let refused = self.refused();
        if !refused.is_empty() {
            let what =
                format!("{} refused this change: overriding it turns the switches all the same", refused.join(", "));
            guards.push(Guard::block(RULE, clean(&what)));
        }
        guards.push(match self.served().await {
            Ok(served) if served.is_answered() => Guard::pass("name-servers", served.says()),
            Ok(served) => Guard::warn("name-servers", format!("{}: the effect could not be verified", served.says())),
            Err(fault) => Guard::warn("name-servers", format!("{}: the effect could not be verified", fault.what)),
        });
        Ok(Checked { guards, promotion: None })
    }

    /// A rule that refused before stood against it on the card, so whoever lets it begin now has overridden that.
    async fn apply(&self, _pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (wanted, overridden) = (self.wanted(), self.refused());
        log.line(&format!("setting {}", words(&wanted)));
        let by = self.set(&wanted, &overridden).await?;
        self.remember(Vec::new());
        log.line(&format!("taken by the endpoint in {by}"));
        let mut receipt = Receipt::from([("endpoint".to_owned(), by)]);
        if !overridden.is_empty() {
            receipt.insert("overridden".to_owned(), clean(&overridden.join(" ")));
        }
        Ok(receipt)
    }

    async fn verify(&self, begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let served = self.served().await?;
        if !served.is_only(self.to.as_str()) {
            return Ok(Verified::Pending { detail: format!("{}, and not {} alone yet", served.says(), self.to) });
        }
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => {
                Verified::Holds { detail: format!("{}; {detail}", served.says()), recovery_point: None }
            }
            other => Verified::Broken { why: format!("{}: somebody turned them", other.words()) },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before = self.kept(&begun.pre_image)?;
        if self.controls.cluster.switches().await? == before {
            log.line("the switches already stand as they did before");
            return Ok(Receipt::new());
        }
        log.line(&format!("setting {}", words(&before)));
        let by = self.set(&before, &[]).await?;
        Ok(Receipt::from([("endpoint".to_owned(), by)]))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        const ACTIONS: [&str; 2] =
            ["route53-recovery-cluster:GetRoutingControlState", "route53-recovery-cluster:UpdateRoutingControlStates"];
        let on = |arn: &String| ACTIONS.map(|action| Need::new(action, On::Arn(arn.clone())));
        let needs: Vec<Need> = self.controls.cluster.controls.values().flat_map(on).collect();
        self.controls.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        let controls = &self.controls.cluster.controls;
        let entry = |(region, on): (&RegionId, &bool)| {
            let (arn, state) =
                (controls.get(region).map(String::as_str).unwrap_or_default(), if *on { "On" } else { "Off" });
            format!("{{\"RoutingControlArn\":\"{arn}\",\"RoutingControlState\":\"{state}\"}}")
        };
        let entries: Vec<String> = self.wanted().iter().map(entry).collect();
        let mut lines = vec![format!("# {}; any one endpoint of the cluster will do", words(&self.wanted()))];
        for (nth, (region, url)) in self.controls.cluster.urls().enumerate() {
            let entries = quoted(&format!("[{}]", entries.join(",")));
            if let Some(last) = lines.last_mut().filter(|_| nth > 0) {
                last.push_str(" ||");
            }
            lines.push(format!(
                "aws route53-recovery-cluster update-routing-control-states --region {} --endpoint-url {} \
                 --update-routing-control-state-entries {entries}",
                quoted(region),
                quoted(url),
            ));
        }
        let servers: Vec<String> = self.controls.servers.iter().map(|server| quoted(server)).collect();
        lines.push("# what clients are told".into());
        lines.push(format!(
            "for ns in {}; do dig +short +norecurse {} {} @\"$ns\"; done",
            servers.join(" "),
            quoted(&self.name),
            quoted(&self.kind)
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_rules() {
        let rule = "arn:aws:route53-recovery-control::111122223333:controlpanel/abc/safetyrule/def";
        let said = format!(
            "UpdateRoutingControlStates was refused (409): ConflictException Cannot update: the rule [{rule}] asserts one On."
        );
        assert_eq!(rules_in(&said), [rule]);
        assert!(rules_in(&format!("AccessDeniedException {rule}")).is_empty(), "only a conflict is a rule's");
        assert!(rules_in("ConflictException: another change is under way").is_empty());
    }
}
