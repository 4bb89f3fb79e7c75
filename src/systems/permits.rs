//! Whether the caller may do a thing in AWS, asked of IAM without doing it; and for how long the caller is logged in.
//!
//! `SimulatePrincipalPolicy` judges the policies of the caller's role
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>). It is asked with the resource of each action:
//! a policy that names resources allows nothing for `*`. It does not know of session policies and of service control policies'
//! conditions: a pass says that the role would do, not that nothing else can stand in the way.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::domain::estate::SystemSpec;
use crate::domain::kinds::{self, Param, ParamType, WayOut};
use crate::domain::readiness::access;
use crate::domain::system::{Fault, Fitness, Guard};
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};
use crate::systems::aws::partition::{self, Partition};
use crate::systems::aws::signed::{self, To, first};
use crate::systems::aws::{Aws, Call};

pub const STS_ENDPOINT_URL: Param =
    Param::optional("sts_endpoint_url", ParamType::Url, "an endpoint of STS other than AWS's own");
pub const IAM_ENDPOINT_URL: Param =
    Param::optional("iam_endpoint_url", ParamType::Url, "an endpoint of IAM other than AWS's own");

pub const IAM_WAY: WayOut =
    WayOut { peace: true, ..WayOut::new(IAM_ENDPOINT_URL.name, kinds::To::Always("us-east-1"), "IAM") };

const VERSION: &str = "2010-05-08";
const PATIENCE: Duration = Duration::from_secs(5);
/// A login that ends sooner would end in the middle of an incident.
const SOON: f64 = 3600.0;

/// What a step takes: an action, and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub action: &'static str,
    pub on: On,
}

/// What an action is done to. Accounts and partitions are the caller's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The action knows no resources.
    Any,
    /// A database of RDS, by its identifier, in this region.
    Database { region: String, name: String },
    /// A hosted zone, by its id.
    Zone(String),
    /// Any change of Route 53: its id is not known before.
    Changes,
    /// A health check, by its id; any when that is not known.
    HealthCheck(Option<String>),
    /// A Global Datastore of ElastiCache, by its id.
    GlobalDatastore(String),
    /// A replication group of ElastiCache, by its id, in this region.
    ReplicationGroup { region: String, name: String },
    /// A bucket, or the object of it with this key.
    Bucket { name: String, key: Option<String> },
    /// By its own ARN.
    Arn(String),
}

impl Need {
    pub fn new(action: &'static str, on: On) -> Self {
        Self { action, on }
    }
}

impl On {
    pub fn database(region: &str, name: &str) -> Self {
        Self::Database { region: region.into(), name: name.into() }
    }

    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
    fn arn(&self, partition: &Partition, account: &str) -> String {
        let aws = partition.name;
        match self {
            Self::Any => "*".into(),
            Self::Database { region, name } => format!("arn:{aws}:rds:{region}:{account}:db:{name}"),
            Self::Zone(id) => format!("arn:{aws}:route53:::hostedzone/{id}"),
            Self::Changes => format!("arn:{aws}:route53:::change/mayday"),
            Self::HealthCheck(id) => {
                format!("arn:{aws}:route53:::healthcheck/{}", id.as_deref().unwrap_or("mayday"))
            }
            Self::GlobalDatastore(id) => format!("arn:{aws}:elasticache::{account}:globalreplicationgroup:{id}"),
            Self::ReplicationGroup { region, name } => {
                format!("arn:{aws}:elasticache:{region}:{account}:replicationgroup:{name}")
            }
            Self::Bucket { name, key: None } => format!("arn:{aws}:s3:::{name}"),
            Self::Bucket { name, key: Some(key) } => format!("arn:{aws}:s3:::{name}/{key}"),
            Self::Arn(arn) => arn.clone(),
        }
    }
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Caller {
    /// The role or user whose policies are judged.
    principal: String,
    account: String,
    /// The role's name, where its path is not known.
    role: Option<String>,
}

/// What a caller may do.
pub struct Permits {
    system: String,
    sts: Aws,
    /// As the config names it.
    iam: Option<String>,
    partition: &'static Partition,
    /// It does not change while the engine runs; its path is learnt when it is needed.
    caller: OnceCell<Caller>,
    named: OnceCell<String>,
}

impl Permits {
    /// For `spec`, whose calls are made in `region`.
    pub fn new(spec: &SystemSpec, region: &str) -> Self {
        let params = &spec.params;
        Self {
            system: spec.id.to_string(),
            sts: Aws::new(spec, region, params.opt_text(STS_ENDPOINT_URL.name)),
            iam: params.opt_text(IAM_ENDPOINT_URL.name).map(str::to_owned),
            partition: partition::of(region),
            caller: OnceCell::new(),
            named: OnceCell::new(),
        }
    }

    /// Whether all of `needs` are allowed, and for how long somebody is logged in who may.
    ///
    /// # Errors
    /// When nobody is logged in, nobody answers, or IAM refuses to say.
    pub fn fitness<'a>(&'a self, needs: &'a [Need]) -> BoxFuture<'a, Result<Fitness, Fault>> {
        Box::pin(async move {
            let mut guards: Vec<Guard> = self.login().await?.into_iter().collect();
            let caller = self.caller.get_or_try_init(|| self.identify()).await?;
            let principal = self.named.get().unwrap_or(&caller.principal);
            let judged = match self.judge(caller, principal, needs).await? {
                // A role's path is not part of what a session is called.
                Err(refusal) if refusal.contains("NoSuchEntity") && caller.role.is_some() => {
                    let named = self.named.get_or_try_init(|| self.role(caller)).await?;
                    self.judge(caller, named, needs).await?
                }
                judged => judged,
            };
            let Judged { denied, conditional } = judged.map_err(|refusal| self.untold(&caller.principal, &refusal))?;
            let who = name(&caller.principal);
            if !conditional.is_empty() && denied.is_empty() {
                let depends = format!(
                    "whether {who} may depends on conditions that IAM does not know here: {}",
                    conditional.join(", ")
                );
                guards.push(Guard::warn("access", depends));
            } else {
                guards.push(access(&denied, needs.len(), who));
            }
            Ok(Fitness { guards })
        })
    }

    /// For how long somebody is logged in; nothing for a key, which has no end.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn login(&self) -> Result<Option<Guard>, Fault> {
        login_guard(&self.sts, &self.system).await
    }

    /// IAM refuses to judge: what the caller may do is then not known, and nobody should read it as allowed.
    fn untold(&self, principal: &str, refusal: &str) -> Fault {
        let who = name(principal);
        Fault::permanent(&self.system, format!("IAM does not say what {who} may do: {refusal}"))
            .means("whether the step is allowed shows only when it is made")
            .next(format!("allow {who} `iam:SimulatePrincipalPolicy` and `iam:GetRole` on itself"))
    }

    async fn identify(&self) -> Result<Caller, Fault> {
        let sts = aws_sdk_sts::Client::new(&self.sts.config().await?);
        let told = self.sts.ask(Call::Read, "GetCallerIdentity", sts.get_caller_identity().send()).await?;
        Ok(caller(&clean(told.arn().unwrap_or_default())))
    }

    /// The ARN of the caller's role, with its path.
    async fn role(&self, caller: &Caller) -> Result<String, Fault> {
        let role = caller.role.as_deref().unwrap_or_default();
        let (status, text) = self.send(form([("Action", "GetRole"), ("RoleName", role)].map(owned))).await?;
        let document = roxmltree::Document::parse(&text);
        let arn = document.as_ref().ok().filter(|_| status == 200).and_then(|it| first(it.root(), "Arn"));
        arn.ok_or_else(|| {
            let refusal = document.as_ref().ok().and_then(|it| first(it.root(), "Code")).unwrap_or_default();
            self.untold(
                &caller.principal,
                &format!("the role may have a path, and GetRole was refused ({status}): {refusal}"),
            )
        })
    }

    /// What is denied, or why IAM does not say. One question for each resource.
    async fn judge(&self, caller: &Caller, principal: &str, needs: &[Need]) -> Result<Result<Judged, String>, Fault> {
        let mut by_resource: BTreeMap<&On, Vec<&str>> = BTreeMap::new();
        for need in needs {
            by_resource.entry(&need.on).or_default().push(need.action);
        }
        let mut all = Judged::default();
        for (on, actions) in by_resource {
            let arn = on.arn(self.partition, &caller.account);
            match self.simulate(principal, &arn, self.sts.region(), &actions).await? {
                Ok(judged) => {
                    let named = |action: String| if arn == "*" { action } else { format!("{action} on {arn}") };
                    all.denied.extend(judged.denied.into_iter().map(named));
                    all.conditional.extend(judged.conditional);
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        all.conditional.sort();
        all.conditional.dedup();
        Ok(Ok(all))
    }

    async fn simulate(
        &self,
        principal: &str,
        arn: &str,
        region: &str,
        actions: &[&str],
    ) -> Result<Result<Judged, String>, Fault> {
        let (status, text) = self.send(question(principal, arn, region, actions)).await?;
        let document = roxmltree::Document::parse(&text);
        match (&document, status) {
            (Ok(document), 200) => Ok(Ok(judged(document, actions))),
            (Ok(document), 300..=499) => {
                let said = |name: &str| first(document.root(), name).unwrap_or_default();
                Ok(Err(format!("{} {}", said("Code"), said("Message"))))
            }
            _ => Err(Fault::transient(&self.system, format!("IAM answered {status}, and not as IAM answers"))
                .means("whether these credentials may do it is not known")),
        }
    }

    /// Where IAM is: as the config, the profile or the environment says, or the partition's own.
    async fn place(&self) -> String {
        if let Some(given) = &self.iam {
            return given.clone();
        }
        if let Some(named) = self.sts.endpoint_of("IAM").await {
            return named;
        }
        let fips = self.sts.config().await.ok().and_then(|config| config.use_fips()) == Some(true);
        (if fips { self.partition.iam_fips } else { self.partition.iam }).to_owned()
    }

    async fn send(&self, body: String) -> Result<(u16, String), Fault> {
        let silent = |why: String| {
            Fault::transient(&self.system, format!("IAM: {why}"))
                .means("whether these credentials may do it is not known")
        };
        let place = self.place().await;
        let to = To { url: &place, service: "iam", region: self.partition.iam_region };
        self.sts.post(to, body, PATIENCE).await.map_err(|lost| silent(lost.why))
    }
}

/// For how long somebody is logged in for the calls of `aws`; nothing for a key, which has no end.
///
/// # Errors
/// When nobody is.
pub async fn login_guard(aws: &Aws, system: &str) -> Result<Option<Guard>, Fault> {
    const NAME: &str = "credentials";
    let Some(standing) = aws.login().standing(system).await? else { return Ok(None) };
    let (now, next) = (At::now(), standing.next());
    let words = standing.words(now);
    Ok(Some(match standing.ends(now) {
        Some(end) if seconds_between(now, end) < SOON => {
            Guard::warn(NAME, format!("{words}: too short for an incident → {next}"))
        }
        _ if standing.is_open() => Guard::warn(NAME, words),
        _ => Guard::pass(NAME, words),
    }))
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn form(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    signed::form(VERSION, pairs)
}

fn question(principal: &str, arn: &str, region: &str, actions: &[&str]) -> String {
    let mut pairs = vec![
        ("Action".to_owned(), "SimulatePrincipalPolicy".to_owned()),
        ("PolicySourceArn".to_owned(), principal.to_owned()),
        ("ResourceArns.member.1".to_owned(), arn.to_owned()),
    ];
    // What is true of every call of Mayday's: policies ask for it.
    let context = [("aws:RequestedRegion", region, "string"), ("aws:SecureTransport", "true", "boolean")];
    for ((key, value, kind), nth) in context.into_iter().zip(1..) {
        let entry = format!("ContextEntries.member.{nth}");
        pairs.push((format!("{entry}.ContextKeyName"), key.to_owned()));
        pairs.push((format!("{entry}.ContextKeyType"), kind.to_owned()));
        pairs.push((format!("{entry}.ContextKeyValues.member.1"), value.to_owned()));
    }
    pairs.extend(
        actions.iter().zip(1..).map(|(action, nth)| (format!("ActionNames.member.{nth}"), (*action).to_owned())),
    );
    form(pairs)
}

/// What IAM makes of what was asked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judged {
    denied: Vec<String>,
    /// The conditions without which what is not allowed might be.
    conditional: Vec<String>,
}

/// Tags by their local name: AWS gives every answer a namespace.
trait Local {
    fn is(&self, name: &str) -> bool;
}

impl Local for roxmltree::Node<'_, '_> {
    fn is(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

fn judged(document: &roxmltree::Document<'_>, actions: &[&str]) -> Judged {
    let mut out = Judged::default();
    for action in actions {
        let of_it = |node: &roxmltree::Node<'_, '_>| {
            node.is("member") && node.children().any(|it| it.is("EvalActionName") && it.text() == Some(*action))
        };
        let result = document.descendants().find(of_it);
        let text = |name: &str| result?.children().find(|it| it.is(name))?.text();
        if text("EvalDecision") == Some("allowed") {
            continue;
        }
        let missing = result.into_iter().flat_map(|it| it.children()).find(|it| it.is("MissingContextValues"));
        let missing: Vec<String> =
            missing.into_iter().flat_map(|it| it.children()).filter_map(|it| it.text()).map(clean).collect();
        let missing: Vec<String> = missing.into_iter().filter(|it| !it.trim().is_empty()).collect();
        match missing.is_empty() || text("EvalDecision") == Some("explicitDeny") {
            true => out.denied.push((*action).to_owned()),
            false => out.conditional.extend(missing),
        }
    }
    out
}

/// The role behind an assumed one: IAM judges roles and users, not sessions. A role's path is not part of a session's ARN.
fn caller(arn: &str) -> Caller {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, service, _, account, what] = parts[..] else {
        return Caller { principal: arn.to_owned(), account: String::new(), role: None };
    };
    let role = what.strip_prefix("assumed-role/").filter(|_| service == "sts").and_then(|rest| rest.split('/').next());
    let principal = role.map_or_else(|| arn.to_owned(), |role| format!("arn:{partition}:iam::{account}:role/{role}"));
    Caller { principal, account: account.to_owned(), role: role.map(str::to_owned) }
}

/// `role/recovery`
fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_behind_a_session_is_judged_in_every_partition() {
        for (arn, principal, account) in [
            ("arn:aws:sts::1:assumed-role/recovery/ada", "arn:aws:iam::1:role/recovery", "1"),
            ("arn:aws-us-gov:sts::2:assumed-role/recovery/ada", "arn:aws-us-gov:iam::2:role/recovery", "2"),
            ("arn:aws:iam::1:user/dr/ada", "arn:aws:iam::1:user/dr/ada", "1"),
        ] {
            let caller = caller(arn);
            assert_eq!((caller.principal.as_str(), caller.account.as_str()), (principal, account));
            assert_eq!(caller.role.is_some(), arn.contains("assumed-role"));
        }
        assert_eq!(name("arn:aws:iam::1:role/dr/recovery"), "role/dr/recovery");
    }

    #[test]
    fn what_is_asked_for_has_its_resource() {
        let gov = partition::of("us-gov-west-1");
        let database = On::database("us-gov-west-1", "orders-dr");
        assert_eq!(database.arn(gov, "7"), "arn:aws-us-gov:rds:us-gov-west-1:7:db:orders-dr");
        assert_eq!(On::Zone("Z1".into()).arn(partition::of("us-east-1"), "7"), "arn:aws:route53:::hostedzone/Z1");
        let check = On::HealthCheck(Some("hc-1".into()));
        assert_eq!(check.arn(gov, "7"), "arn:aws-us-gov:route53:::healthcheck/hc-1");
        let text = question("arn:aws:iam::1:role/r", "arn:aws:s3:::b", "us-west-2", &["s3:PutObject"]);
        for part in
            ["ResourceArns.member.1=arn%3Aaws%3As3%3A%3A%3Ab", "aws%3ARequestedRegion", "=us-west-2", "s3%3APutObject"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_is_not_said_to_be_allowed_is_denied_unless_a_condition_is_missing() {
        let text = r#"<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>
            <EvaluationResults>
              <member><EvalActionName>a:One</EvalActionName><EvalDecision>allowed</EvalDecision>
                <MatchedStatements><member><SourcePolicyId>p</SourcePolicyId></member></MatchedStatements></member>
              <member><EvalActionName>a:Two</EvalActionName><EvalDecision>implicitDeny</EvalDecision></member>
              <member><EvalActionName>a:Four</EvalActionName><EvalDecision>implicitDeny</EvalDecision>
                <MissingContextValues><member>aws:MultiFactorAuthPresent</member></MissingContextValues></member>
              <member><EvalActionName>a:Five</EvalActionName><EvalDecision>explicitDeny</EvalDecision>
                <MissingContextValues><member>aws:SourceIp</member></MissingContextValues></member>
            </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"#;
        let document = roxmltree::Document::parse(text).unwrap();
        let found = judged(&document, &["a:One", "a:Two", "a:Three", "a:Four", "a:Five"]);
        assert_eq!(found.denied, ["a:Two", "a:Three", "a:Five"]);
        assert_eq!(found.conditional, ["aws:MultiFactorAuthPresent"]);
    }
}
