//! A hosted zone by its API and by its name servers: what it holds, what changes it, what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::types::{
    AcceleratedRecoveryStatus, ChangeBatch, ChangeStatus, HealthCheck, HealthCheckConfig, HealthCheckType, RrType,
};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::health::Health;
use super::names::plain;
use super::records::{Group, RecordSet, changes};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::systems::aws::{Aws, Call, unasked};
use crate::systems::dns::addresses;
use crate::systems::dns::ask::{Question, Reply, ask, normal, value_of};
use crate::systems::permits::Permits;

/// How long one name server may take.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What a name server is called, and what it said; or why it said nothing.
pub type Said = (String, Result<Reply, String>);

/// What a zone is said to do whose name servers nobody knows.
pub const NO_SERVERS: &str = "names no name servers";

/// The receipt's name for `ChangeInfo.Id`.
pub const CHANGE_ID: &str = "change-id";

pub struct Zone {
    /// The id of the system, for faults.
    pub system: String,
    pub id: String,
    pub aws: Aws,
    pub permits: Permits,
    client: OnceCell<Client>,
    /// Asked instead of those of the zone's delegation set.
    name_servers: Vec<String>,
    /// Who speaks for the zone: kept, because the control plane that tells it may be gone when it matters.
    servers: OnceCell<Vec<(String, SocketAddr)>>,
    /// The values that name servers answer for a set identifier, as the config has them.
    pub answers: BTreeMap<String, String>,
    /// Record sets by name and type as they were last previewed, for `by_hand`, which cannot ask.
    previewed: Mutex<BTreeMap<(String, String), Group>>,
    /// The same as the API last told them: it may be silent when it matters.
    told: Mutex<BTreeMap<(String, String), Group>>,
}

impl Zone {
    pub fn new(
        system: &str,
        id: &str,
        aws: Aws,
        permits: Permits,
        name_servers: Vec<String>,
        answers: BTreeMap<String, String>,
    ) -> Self {
        let id = id.trim_start_matches("/hostedzone/").to_owned();
        Self {
            system: system.into(),
            id,
            aws,
            permits,
            client: OnceCell::new(),
            name_servers,
            servers: OnceCell::new(),
            answers,
            previewed: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub async fn client(&self) -> Result<&Client, Fault> {
        let make = async || Ok(Client::new(&self.aws.config().await?));
        self.client.get_or_try_init(make).await
    }

    /// Keeps what a preview saw.
    pub fn remember(&self, name: &str, kind: &str, group: Group) {
        self.previewed.lock().unwrap_or_else(PoisonError::into_inner).insert((name.into(), kind.into()), group);
    }

    /// What the last preview saw.
    pub fn remembered(&self, name: &str, kind: &str) -> Option<Group> {
        self.previewed.lock().unwrap_or_else(PoisonError::into_inner).get(&(name.into(), kind.into())).cloned()
    }

    /// What the API told when it last answered.
    pub fn told(&self, name: &str, kind: &str) -> Option<Group> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&(name.into(), kind.into())).cloned()
    }

    /// The record sets of one name and type, in Route 53's order; empty if there are none.
    ///
    /// # Errors
    /// When it cannot be asked, or lists what Mayday cannot restore.
    pub async fn records(&self, name: &str, kind: &str) -> Result<Group, Fault> {
        let group = self.list(name, Some(kind)).await?;
        self.keep(name, kind, group.clone());
        Ok(group)
    }

    /// The record sets of one name, of all types.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn all_of(&self, name: &str) -> Result<Group, Fault> {
        let all = self.list(name, None).await?;
        for group in all.chunk_by(|a, b| a.r#type == b.r#type) {
            self.keep(name, &group[0].r#type, group.to_vec());
        }
        Ok(all)
    }

    fn keep(&self, name: &str, kind: &str, group: Group) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert((name.into(), kind.into()), group);
    }

    fn list<'a>(&'a self, name: &'a str, kind: Option<&'a str>) -> BoxFuture<'a, Result<Group, Fault>> {
        Box::pin(async move {
            let (wanted, kind) = (plain(name), kind.map(RrType::from));
            let client = self.client().await?;
            let (mut found, mut from) = (Group::new(), (format!("{wanted}."), kind.clone(), None));
            loop {
                let (name, of, after) = from.clone();
                let ask = client.list_resource_record_sets().hosted_zone_id(&self.id).max_items(100);
                let ask = ask.start_record_name(name).set_start_record_type(of).set_start_record_identifier(after);
                let page = self.aws.ask(Call::Read, "ListResourceRecordSets", ask.send()).await?;
                // Listed in order: the first one of another name or type ends it.
                let sets = page.resource_record_sets();
                let ours = sets.iter().take_while(|set| {
                    plain(&set.name) == wanted && kind.as_ref().is_none_or(|kind| set.r#type == *kind)
                });
                let before = found.len();
                found.extend(ours.map(RecordSet::read));
                let whole = found.len() - before == sets.len();
                // What comes next may be of another name, with an identifier that means nothing here.
                let goes_on = page.next_record_name().is_some_and(|next| plain(next) == wanted)
                    && kind.as_ref().is_none_or(|kind| page.next_record_type() == Some(kind));
                if !(whole && page.is_truncated() && goes_on) {
                    return Ok(found);
                }
                let last = sets.last().map(|set| set.r#type.clone());
                let next = page.next_record_identifier().map(str::to_owned);
                // Where the next one is of the same type, only its identifier tells it from those that were read.
                if next.is_none() && page.next_record_type() == last.as_ref() {
                    let told = found.len();
                    return Err(
                        self.unfit(format!("only the first {told} record sets of {} were told", clean(&wanted)))
                    );
                }
                from = (page.next_record_name().unwrap_or_default().to_owned(), page.next_record_type().cloned(), next);
            }
        })
    }

    /// A fault of the record sets themselves, or of how the plan names them.
    pub fn unfit(&self, why: String) -> Fault {
        Fault::permanent(&self.system, why)
            .means("this step cannot move the traffic")
            .next("change the records by hand (`b` shows how), or correct `record` and `to` in the plan")
    }

    /// Replaces `from` by `to` in one batch that is refused if anything is not as in `from`. One attempt.
    ///
    /// # Errors
    /// Permanent when Route 53 refused it, ambiguous when it was sent and not answered.
    pub fn swap<'a>(
        &'a self,
        from: &'a [RecordSet],
        to: &'a [RecordSet],
        comment: &'a str,
    ) -> BoxFuture<'a, Result<Receipt, Fault>> {
        Box::pin(async move {
            let batch = changes(from, to).and_then(|changes| {
                let batch = ChangeBatch::builder().comment(comment).set_changes(Some(changes));
                batch.build().map_err(|error| error.to_string())
            });
            let batch = batch.map_err(|why| self.unfit(why))?;
            let ask = self.client().await?.change_resource_record_sets().hosted_zone_id(&self.id).change_batch(batch);
            let sent = self.aws.ask(Call::Mutation, "ChangeResourceRecordSets", ask.send()).await;
            let answer = sent.map_err(|fault| match fault.what.contains("InvalidChangeBatch") {
                true => Fault {
                    means: "this batch changed nothing: the records are not what they were at the preview: somebody changed them, and nothing was overwritten".into(),
                    next: "look at the preview again (`p`), then retry".into(),
                    ..fault
                },
                false => fault,
            })?;
            let info = answer.change_info.as_ref();
            let id = info.map(|info| info.id.trim_start_matches("/change/").to_owned());
            let status = info.map(|info| info.status.as_str().to_owned());
            let told = [(CHANGE_ID, id), ("status", status)];
            Ok(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), clean(&value?)))).collect())
        })
    }

    /// Whether a change has reached all name servers.
    pub fn in_sync<'a>(&'a self, change: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_change().id(change);
            let answer = self.aws.ask(Call::Read, "GetChange", ask.send()).await?;
            Ok(answer.change_info.is_some_and(|info| info.status == ChangeStatus::Insync))
        })
    }

    /// A health check as it is set up.
    pub fn health_check<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<HealthCheck, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_health_check().health_check_id(id);
            let answer = self.aws.ask(Call::Read, "GetHealthCheck", ask.send()).await?;
            answer
                .health_check
                .ok_or_else(|| Fault::transient(&self.system, format!("no health check {} was told", clean(id))))
        })
    }

    /// How Route 53 counts what stands behind a health check.
    pub fn health<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Health, Fault>> {
        self.health_once(id, None)
    }

    /// The same once the check `own` is healthy, which the caller is about to see to: a calculated check may count it beside others.
    pub fn health_once<'a>(&'a self, id: &'a str, own: Option<&'a str>) -> BoxFuture<'a, Result<Health, Fault>> {
        Box::pin(async move {
            if own == Some(id) {
                return Ok(Health::Healthy(format!("{} follows the switch", clean(id))));
            }
            let check = self.health_check(id).await?;
            let Some(config) = check.health_check_config.as_ref() else {
                return Ok(Health::Unknown("its settings were not told".into()));
            };
            if config.disabled != Some(true) && config.r#type == HealthCheckType::Calculated {
                let mut children = Vec::new();
                for child in config.child_health_checks() {
                    children.push(self.child_health(child, own).await?);
                }
                return Ok(Health::by_children(config, &children));
            }
            if let Some(known) = Health::by_settings(config) {
                return Ok(known);
            }
            let ask = self.client().await?.get_health_check_status().health_check_id(id);
            let answer = self.aws.ask(Call::Read, "GetHealthCheckStatus", ask.send()).await?;
            Ok(Health::by_observations(config, answer.health_check_observations()))
        })
    }

    /// The health of what a calculated check counts; of one that counts others itself, nothing is known.
    async fn child_health(&self, id: &str, own: Option<&str>) -> Result<Health, Fault> {
        let check = self.health_check(id).await?;
        let calculated = |config: &HealthCheckConfig| config.r#type == HealthCheckType::Calculated;
        match check.health_check_config.as_ref().is_some_and(calculated) {
            true => Ok(Health::Unknown(format!("{} counts others itself", clean(id)))),
            false => self.health_once(id, own).await,
        }
    }

    /// Whether the API has to be asked who speaks for it.
    pub fn asks_for_servers(&self) -> bool {
        self.name_servers.is_empty()
    }

    /// Who speaks for the zone, asked for once.
    pub async fn servers(&self) -> Result<&Vec<(String, SocketAddr)>, Fault> {
        self.servers.get_or_try_init(|| self.find_servers()).await
    }

    /// The name servers that speak for the zone, with their addresses.
    async fn find_servers(&self) -> Result<Vec<(String, SocketAddr)>, Fault> {
        let names = match self.name_servers.as_slice() {
            [] => {
                let ask = self.client().await?.get_hosted_zone().id(&self.id);
                let answer = self.aws.ask(Call::Read, "GetHostedZone", ask.send()).await?;
                answer.delegation_set.map(|set| set.name_servers).unwrap_or_default()
            }
            given => given.to_vec(),
        };
        let mut servers = Vec::new();
        for name in names {
            let found = addresses(&name).await.map_err(|why| unasked(&self.system, "the zone's name servers", &why))?;
            servers.extend(found.first().map(|address| (clean(&name), *address)));
        }
        match servers.is_empty() {
            true => Err(Fault::permanent(&self.system, format!("the zone {} {NO_SERVERS}", self.id))
                .means("nobody can be asked what clients are told")
                .next("a private zone has none: set `name_servers`, and run `mayday check`")),
            false => Ok(servers),
        }
    }

    /// What a name server is asked. Those that the config names may only pass questions on, as the resolver of a VPC does for a private
    /// zone: they are asked to.
    ///
    /// # Errors
    /// When the name or the type is none.
    pub fn question(&self, name: &str, kind: &str) -> Result<Question, Fault> {
        Question::new(&plain(name), kind, !self.name_servers.is_empty()).map_err(|why| self.unfit(why))
    }

    /// What DNS answers for a record set: its values, or for an alias the addresses of what it stands for. Empty when that is not known: an
    /// alias may lead where this host's resolver knows nothing of.
    pub async fn values(&self, set: &RecordSet) -> Vec<String> {
        let Some(alias) = &set.alias_target else {
            let value = |text: &str| set.r#type.parse().map_or_else(|_| normal(text), |kind| value_of(kind, text));
            return set.resource_records.iter().map(|record| value(&record.value)).collect();
        };
        if alias.hosted_zone_id == self.id {
            // Another name of this zone: its own name servers know.
            let said = self.ask_servers(&alias.dns_name, &set.r#type).await.unwrap_or_default();
            let mut all: Vec<String> =
                said.into_iter().filter_map(|(_, reply)| reply.ok()).flat_map(|reply| reply.values).collect();
            all.sort();
            all.dedup();
            return all;
        }
        let found = addresses(&plain(&alias.dns_name)).await.unwrap_or_default();
        let fits = |address: &SocketAddr| match set.r#type.as_str() {
            "A" => address.is_ipv4(),
            "AAAA" => address.is_ipv6(),
            // What else a name of AWS's own answers, its addresses do not tell.
            _ => false,
        };
        found.iter().filter(|address| fits(address)).map(|address| address.ip().to_string()).collect()
    }

    /// Whether record changes come back through another region when that of the control plane fails. What is not told is a no.
    pub fn is_accelerated(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let Ok(client) = self.client().await else { return false };
            let ask = client.get_hosted_zone().id(&self.id);
            let answer = self.aws.ask(Call::Read, "GetHostedZone", ask.send()).await.ok();
            let features = answer.and_then(|answer| answer.hosted_zone?.features);
            features.and_then(|it| it.accelerated_recovery_status) == Some(AcceleratedRecoveryStatus::Enabled)
        })
    }

    /// What each of the zone's name servers says, asked directly: no cache, no recursion.
    ///
    /// # Errors
    /// When it cannot be told who they are.
    pub fn ask_servers<'a>(&'a self, name: &'a str, kind: &'a str) -> BoxFuture<'a, Result<Vec<Said>, Fault>> {
        Box::pin(async move {
            let question = self.question(name, kind)?;
            let servers = self.servers().await?;
            let asking = servers.iter().map(|(server, address)| {
                let question = &question;
                async move { (server.clone(), ask(*address, question, PATIENCE).await) }
            });
            Ok(futures::future::join_all(asking).await)
        })
    }
}

#[cfg(test)]
impl Zone {
    pub fn for_test(id: &str) -> Self {
        let spec = crate::domain::estate::SystemSpec {
            id: "zone".into(),
            kind: "route53".into(),
            title: "zone".into(),
            region: None,
            class: None,
            params: Default::default(),
        };
        let permits = Permits::new(&spec, "us-west-2");
        Self::new("zone", id, Aws::new(&spec, "us-east-1", None), permits, Vec::new(), BTreeMap::new())
    }
}
