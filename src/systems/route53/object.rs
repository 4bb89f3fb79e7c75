//! Sending clients away by an object: an inverted health check of the primary's record looks at it, in a bucket of another region. While
//! it is missing the primary is healthy; writing it takes the primary out of the answers. That needs S3 there, and no control plane.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::by_hand;
use super::guards::{health_guard, name_server_guard};
use super::zone::Zone;
use crate::domain::estate::{Estate, SystemSpec};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::readiness::CONTROL_PLANE_GUARD;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, GuardVerdict, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::{Aws, is_unheard, told};
use crate::systems::permits::{Need, On};
use crate::systems::s3::bucket::{Bucket, age};
use crate::systems::shell::quoted;

/// How long the control plane is waited for, which this way does not need: what it last said is told instead.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The guard that says whether the health check is what this way leans on.
const CHECK: &str = "object-check";

/// The object, and where it is.
pub struct Switch {
    bucket: Bucket,
    key: String,
    /// What the API last told of the health checks.
    seen: Mutex<Option<(At, Vec<Guard>)>>,
}

impl Switch {
    /// `None` when the config names no object.
    pub fn new(spec: &SystemSpec, estate: &Estate) -> Option<Self> {
        let params = &spec.params;
        let (bucket, key) = (params.opt_text("object_bucket")?, params.opt_text("object_key")?.to_owned());
        let region = params.opt_text("object_region").map_or_else(|| estate.standby(), RegionId::from);
        let endpoint = params.opt_text("object_endpoint_url");
        let aws = Aws::new(spec, region.as_str(), endpoint);
        let bucket = Bucket::new(spec.id.as_str(), bucket, region, aws, endpoint.is_some());
        Some(Self { bucket, key, seen: Mutex::default() })
    }

    fn url(&self) -> String {
        clean(&format!("s3://{}/{}", self.bucket.name, self.key))
    }

    /// Whether a health check looks at this object, by its host and path in one of the forms that S3 has.
    fn is_looked_at_by(&self, config: &HealthCheckConfig) -> bool {
        let host = config.fully_qualified_domain_name.as_deref().unwrap_or_default();
        let path = config.resource_path.as_deref().unwrap_or_default().trim_start_matches('/');
        let (bucket, key, region) = (&self.bucket.name, &self.key, self.bucket.region.as_str());
        let of_s3 = |host: &str| host.starts_with("s3") && host.ends_with(".amazonaws.com") && host.contains(region);
        let by_host = host.strip_prefix(&format!("{bucket}.")).is_some_and(of_s3) && path == key;
        let by_path = of_s3(host) && path == format!("{bucket}/{key}");
        matches!(config.r#type, HealthCheckType::Http | HealthCheckType::Https) && (by_host || by_path)
    }
}

/// What was there before.
#[derive(Serialize, Deserialize)]
struct Before {
    there: bool,
}

pub struct Object {
    zone: Arc<Zone>,
    switch: Arc<Switch>,
    /// The region whose record the health check guards.
    guarded: RegionId,
    /// The region that shall serve.
    to: RegionId,
    name: String,
    kind: String,
    /// Whether the object has to be there: clients leave the guarded region.
    write: bool,
    /// Where there are several standbys, that the object does not say which of them serves.
    choice: Option<Guard>,
}

impl Object {
    /// # Errors
    /// When the plan does not say where to.
    pub fn new(zone: Arc<Zone>, switch: Arc<Switch>, estate: &Estate, spec: &StepSpec) -> Result<Self, Fault> {
        let to = spec.region.clone();
        let to = to.ok_or_else(|| zone.unfit(format!("the step `{}` does not say where to: set `region`", spec.id)))?;
        let (guarded, kind) = (estate.primary(), spec.params.opt_text("type").unwrap_or("A").to_owned());
        let (name, write) = (spec.params.text("record")?.to_owned(), to != guarded);
        let words = format!(
            "the object takes {guarded} out of the answers; that {to} is answered then, and no other standby, is for the records to say"
        );
        let choice = estate.has_a_choice().then(|| Guard::warn("choice", words)).filter(|_| write);
        Ok(Self { zone, switch, guarded, to, name, kind, write, choice })
    }

    async fn there(&self) -> Result<Option<At>, Fault> {
        self.switch.bucket.modified(&self.switch.key).await
    }

    async fn set(&self, there: bool, log: &dyn StepLog) -> Result<(), Fault> {
        let (bucket, key) = (&self.switch.bucket, &self.switch.key);
        match there {
            true => {
                log.line(&format!("writing {}", self.switch.url()));
                bucket
                    .put(key, format!("Clients leave {} while this is here. Written by mayday.\n", self.guarded))
                    .await
            }
            false => {
                log.line(&format!("deleting {}", self.switch.url()));
                bucket.delete(key).await
            }
        }
    }

    /// Whether the health checks are what this way leans on, by Route 53 itself or as it last told.
    async fn check_guards(&self) -> Vec<Guard> {
        let silence = match timeout(PATIENCE, self.look_at_checks()).await {
            Ok(Ok(guards)) => {
                *self.switch.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((At::now(), guards.clone()));
                return guards;
            }
            Ok(Err(fault)) if !is_unheard(&fault) => fault.what,
            _ => "the API of Route 53 does not answer".to_owned(),
        };
        let seen = self.switch.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match seen {
            Some((at, guards)) => {
                let ago = Span(Duration::from_secs(seconds_between(at, At::now()).max(0.0) as u64));
                let aged = |it: Guard| Guard { detail: format!("{} (seen {ago} ago; {silence})", it.detail), ..it };
                guards.into_iter().map(aged).collect()
            }
            None => vec![Guard::warn(
                CHECK,
                format!("whether a health check looks at {} was never seen: {silence}", self.switch.url()),
            )],
        }
    }

    async fn look_at_checks(&self) -> Result<Vec<Guard>, Fault> {
        let sets = self.zone.records(&self.name, &self.kind).await?;
        let of = |region: &RegionId| sets.iter().find(|set| set.identifier() == region.as_str());
        let (guard, own) = match of(&self.guarded).and_then(|set| set.health_check_id.as_deref()) {
            Some(check) => self.judge(check).await?,
            None => (block(format!("the record set {} of {} has no health check", self.guarded, self.name)), None),
        };
        // The way home is red by the object alone, which is about to go: what else its check counts is what matters.
        let own = own.filter(|_| !self.write && guard.verdict == GuardVerdict::Pass);
        let target = health_guard(&self.zone, self.to.as_str(), of(&self.to), own.as_deref()).await?;
        Ok(vec![guard, target])
    }

    /// Holds a health check, and those that it counts, against what it should be; and which of them it is that looks at the object.
    async fn judge(&self, id: &str) -> Result<(Guard, Option<String>), Fault> {
        let check = self.zone.health_check(id).await?;
        let Some(config) = check.health_check_config.as_ref() else {
            return Ok((Guard::warn(CHECK, format!("the settings of {} were not told", clean(id))), None));
        };
        if config.r#type != HealthCheckType::Calculated {
            return Ok((verdict(&self.switch, id, config), Some(id.to_owned())));
        }
        let children = config.child_health_checks();
        for child in children {
            let told = self.zone.health_check(child).await?;
            let Some(settings) = told.health_check_config.as_ref().filter(|it| self.switch.is_looked_at_by(it)) else {
                continue;
            };
            let needs_all =
                usize::try_from(config.health_threshold.unwrap_or_default()).is_ok_and(|it| it >= children.len());
            let forced = config.disabled == Some(true) || config.inverted == Some(true);
            let guard = match (needs_all, forced) {
                (false, _) => block(format!("{} stays healthy when {} alone is not", clean(id), clean(child))),
                (true, true) => block(format!("{} is forced, whatever {} says", clean(id), clean(child))),
                (true, false) => verdict(&self.switch, child, settings),
            };
            return Ok((guard, Some(child.clone())));
        }
        let none = format!("none of the health checks that {} counts looks at {}", clean(id), self.switch.url());
        Ok((block(none), None))
    }

    fn words(&self) -> String {
        let (url, guarded, name) = (self.switch.url(), &self.guarded, &self.name);
        match self.write {
            true => format!("write {url}: {guarded} leaves the answers for {name}"),
            false => format!("delete {url}: {guarded} comes back into the answers for {name}"),
        }
    }
}

fn block(what: String) -> Guard {
    Guard::block(CHECK, format!("{what}: the object would move nobody"))
}

/// Whether a health check is one that turns red as soon as the object is there.
fn verdict(switch: &Switch, id: &str, config: &HealthCheckConfig) -> Guard {
    let id = clean(id);
    match () {
        () if !switch.is_looked_at_by(config) => block(format!("{id} does not look at {}", switch.url())),
        () if config.inverted != Some(true) => block(format!("{id} is not inverted")),
        () if config.disabled == Some(true) => block(format!("{id} is disabled")),
        () => Guard::pass(CHECK, format!("{id} is inverted and looks at {}", switch.url())),
    }
}

#[async_trait]
impl Step for Object {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let url = self.switch.url();
        let there = self.there().await?;
        if begun.is_none() && there.is_some() != self.write {
            // Where it would move nobody it is no way at all, and another may be taken.
            let guards = self.check_guards().await;
            let wrong = guards.into_iter().find(|it| it.name == CHECK && it.verdict == GuardVerdict::Block);
            if let Some(wrong) = wrong {
                return Ok(Observed::Impossible { why: wrong.detail });
            }
        }
        let detail = there.map_or(format!("{url} is not there"), |at| format!("{url} is there, {} old", age(at)));
        Ok(match there.is_some() == self.write {
            true => Observed::Done { detail },
            false => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let before = Before { there: self.there().await?.is_some() };
        let sign = if self.write { '+' } else { '-' };
        let pre_image = serde_json::to_value(&before).map_err(|error| self.zone.unfit(error.to_string()))?;
        Ok(Preview { summary: self.words(), diff: vec![format!("{sign}{}", self.switch.url())], pre_image })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (mut guards, servers) =
            tokio::join!(self.check_guards(), name_server_guard(&self.zone, &self.name, &self.kind));
        let region = &self.switch.bucket.region;
        guards.push(match *region == self.guarded {
            true => Guard::warn(
                CONTROL_PLANE_GUARD,
                format!("the object lies in {region}, the region that has to be left by it: put it elsewhere"),
            ),
            false => Guard::pass(CONTROL_PLANE_GUARD, format!("none is needed: only S3 in {region}")),
        });
        guards.push(servers);
        guards.extend(self.choice.clone());
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.set(self.write, log).await?;
        Ok(Receipt::from([("object".to_owned(), self.switch.url())]))
    }

    async fn verify(&self, begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let served = self.zone.served(&self.name, &self.kind, 1).await?;
        if !served.is_only(self.to.as_str()) {
            return Ok(Verified::Pending { detail: format!("{}, and not {} alone yet", served.says(), self.to) });
        }
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => {
                Verified::Holds { detail: format!("{}; {detail}", served.says()), recovery_point: None }
            }
            other => Verified::Broken { why: format!("{}: somebody changed it", other.words()) },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before: Before = by_hand::kept(&self.zone, &begun.pre_image)?;
        if self.there().await?.is_some() == before.there {
            log.line("the object is already as it was before");
            return Ok(Receipt::new());
        }
        self.set(before.there, log).await?;
        Ok(Receipt::new())
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let on = |key: Option<&String>| On::Bucket { name: self.switch.bucket.name.clone(), key: key.cloned() };
        let object = ["s3:PutObject", "s3:DeleteObject", "s3:GetObject"];
        let mut needs: Vec<Need> = object.map(|action| Need::new(action, on(Some(&self.switch.key)))).into();
        // Who may not list a bucket is told 403 of an object that is missing, instead of 404.
        needs.push(Need::new("s3:ListBucket", on(None)));
        let (fitness, there) = tokio::join!(self.zone.permits.fitness(&needs), self.there());
        let mut fitness = fitness?;
        fitness.guards.push(match there {
            Ok(_) => Guard::pass("object", format!("{} can be looked at", self.switch.url())),
            Err(fault) => Guard::warn("object", format!("{} cannot be looked at: {}", self.switch.url(), told(&fault))),
        });
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let (bucket, key) = (quoted(&self.switch.bucket.name), quoted(&self.switch.key));
        let region = quoted(self.switch.bucket.region.as_str());
        let at = format!("--bucket {bucket} --key {key} --region {region}");
        let mut lines = vec![format!("# {}", self.words())];
        lines.push(match self.write {
            true => format!("aws s3api put-object {at}"),
            false => format!("aws s3api delete-object {at}"),
        });
        lines.push("# everybody has to be able to read it: a health check has no credentials".into());
        lines.extend(by_hand::look(&self.zone, &self.name, &self.kind));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::params::Params;

    fn switch() -> Switch {
        let spec = SystemSpec {
            id: "dns-zone".into(),
            kind: "route53".into(),
            title: "zone".into(),
            region: None,
            class: None,
            params: Params::default(),
        };
        let aws = Aws::new(&spec, "us-west-2", None);
        let bucket = Bucket::new("dns-zone", "switch", "us-west-2".into(), aws, false);
        Switch { bucket, key: "leave/east".into(), seen: Mutex::default() }
    }

    fn looks_at(host: &str, path: &str) -> HealthCheckConfig {
        let config = HealthCheckConfig::builder().r#type(HealthCheckType::Https).inverted(true);
        config.fully_qualified_domain_name(host).resource_path(path).build().unwrap()
    }

    #[test]
    fn only_an_inverted_check_of_this_very_object_will_do() {
        let right = looks_at("switch.s3.us-west-2.amazonaws.com", "/leave/east");
        let other = |host| looks_at(host, "/leave/east");
        let (mut upright, mut disabled) = (right.clone(), right.clone());
        (upright.inverted, disabled.disabled) = (None, Some(true));
        let rows = [
            ("by host", right, GuardVerdict::Pass, "is inverted and looks at s3://switch/leave/east"),
            ("by path", looks_at("s3.us-west-2.amazonaws.com", "/switch/leave/east"), GuardVerdict::Pass, "inverted"),
            ("of a site", other("switch.s3-website-us-west-2.amazonaws.com"), GuardVerdict::Pass, "inverted"),
            (
                "another key",
                looks_at("switch.s3.us-west-2.amazonaws.com", "/leave"),
                GuardVerdict::Block,
                "not look at",
            ),
            ("another bucket", other("other.s3.us-west-2.amazonaws.com"), GuardVerdict::Block, "not look at"),
            ("another region", other("switch.s3.us-east-1.amazonaws.com"), GuardVerdict::Block, "not look at"),
            ("upright", upright, GuardVerdict::Block, "is not inverted"),
            ("disabled", disabled, GuardVerdict::Block, "is disabled"),
        ];
        for (what, config, wanted, words) in rows {
            let guard = verdict(&switch(), "hc", &config);
            assert!(guard.verdict == wanted && guard.detail.contains(words), "{what}: {guard:?}");
        }
    }
}
