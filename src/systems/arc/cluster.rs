//! A cluster of routing controls: five endpoints in five regions, any of which answers for all. Some may be gone, so each call begins at a
//! random one and goes on, each a moment after the last, until one answers. A switch is set to a state and not toggled: setting it twice by two endpoints changes nothing
//! twice, which is why a silent one is followed by the next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_route53recoverycluster::Client;
use aws_sdk_route53recoverycluster::types::{RoutingControlState, UpdateRoutingControlStateEntry};
use futures::future::{BoxFuture, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use crate::domain::estate::SystemSpec;
use crate::domain::ids::RegionId;
use crate::domain::system::{Fault, FaultClass};
use crate::systems::aws::{Aws, Call, is_unheard};

/// How long one endpoint may take: five of them have to fit into a look.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long an endpoint is asked alone before the next one is asked beside it. One that is well answers from the other side of the world
/// within that. A change waits longer: two endpoints may take it, and once is enough.
const HEDGE: Duration = Duration::from_millis(400);
const HEDGE_CHANGE: Duration = Duration::from_millis(1000);

/// Whether clients are sent to each region.
pub type Switches = BTreeMap<RegionId, bool>;

struct Endpoint {
    region: String,
    url: String,
    aws: Aws,
    client: OnceCell<Client>,
    /// It did not answer the last time: it is asked after those that did.
    silent: AtomicBool,
}

impl Endpoint {
    fn heard(&self, fault: Option<&Fault>) {
        self.silent.store(fault.is_some_and(is_unheard), Ordering::Relaxed);
    }

    async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(async || Ok(Client::new(&self.aws.config().await?))).await
    }

    fn late(&self, call: Call) -> Fault {
        let what = format!("the endpoint in {} did not answer within {:.1} s", self.region, PATIENCE.as_secs_f64());
        match call {
            Call::Read => Fault::transient(self.aws.region(), what),
            Call::Mutation => Fault::ambiguous(self.aws.region(), what).means("it may have happened"),
        }
    }

    fn state<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            self.aws.logged_in(Call::Read).await?;
            let ask = self.client().await?.get_routing_control_state().routing_control_arn(arn);
            let sent = self.aws.ask(Call::Read, "GetRoutingControlState", ask.send());
            let answer = timeout(PATIENCE, sent).await.unwrap_or_else(|_| Err(self.late(Call::Read)))?;
            Ok(answer.routing_control_state == RoutingControlState::On)
        })
    }

    fn set<'a>(
        &'a self,
        entries: Vec<UpdateRoutingControlStateEntry>,
        overridden: &'a [String],
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.aws.logged_in(Call::Mutation).await?;
            let ask = self.client().await?.update_routing_control_states();
            let ask = ask.set_update_routing_control_state_entries(Some(entries));
            let ask = ask.set_safety_rules_to_override((!overridden.is_empty()).then(|| overridden.to_vec()));
            let sent = self.aws.ask(Call::Mutation, "UpdateRoutingControlStates", ask.send());
            timeout(PATIENCE, sent).await.unwrap_or_else(|_| Err(self.late(Call::Mutation))).map(drop)
        })
    }
}

pub struct Cluster {
    pub system: String,
    endpoints: Vec<Endpoint>,
    /// The routing control of each region, by ARN.
    pub controls: BTreeMap<RegionId, String>,
    /// Where the next call begins.
    turn: AtomicUsize,
}

impl Cluster {
    /// # Errors
    /// When there is no endpoint, or fewer than two switches.
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let system = spec.id.to_string();
        let endpoint = |(region, url): (String, String)| {
            let aws = Aws::new(spec, &region, Some(&url));
            Endpoint { region, url, aws, client: OnceCell::new(), silent: AtomicBool::new(false) }
        };
        let endpoints: Vec<Endpoint> = spec.params.map("endpoints").into_iter().map(endpoint).collect();
        let controls: BTreeMap<RegionId, String> = spec
            .params
            .map("controls")
            .into_iter()
            .map(|(region, arn)| (RegionId::from(region.as_str()), arn))
            .collect();
        if endpoints.is_empty() || controls.len() < 2 {
            let what = "a cluster has five `endpoints`, and `controls` one switch for each of two regions or more";
            return Err(Fault::permanent(system, what).next("complete both, and run `mayday check`"));
        }
        // Not the same one for every engine and every start; no secret hangs on it.
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.subsec_nanos());
        Ok(Self { system, endpoints, controls, turn: AtomicUsize::new(nanos as usize) })
    }

    /// Every endpoint: its region and its URL.
    pub fn urls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.endpoints.iter().map(|it| (it.region.as_str(), it.url.as_str()))
    }

    /// From a random one on, and those last that were silent.
    fn in_turn(&self) -> impl Iterator<Item = &Endpoint> {
        let (from, all) = (self.turn.fetch_add(1, Ordering::Relaxed), self.endpoints.len());
        let mut order: Vec<&Endpoint> = (0..all).map(|nth| &self.endpoints[(from.wrapping_add(nth)) % all]).collect();
        order.sort_by_key(|endpoint| endpoint.silent.load(Ordering::Relaxed));
        order.into_iter()
    }

    /// Every switch as one endpoint tells it.
    async fn told_by(&self, endpoint: &Endpoint) -> Result<Switches, Fault> {
        let told =
            self.controls.iter().map(|(region, arn)| async move { Ok((region.clone(), endpoint.state(arn).await?)) });
        Ok(try_join_all(told).await?.into_iter().collect())
    }

    /// What the first endpoint says that answers. The next one is asked as soon as one is silent, or has been for `hedge`: a region that is
    /// gone costs that much and not its whole patience. Once one refuses, nobody else is asked, and those under way may still answer.
    ///
    /// # Errors
    /// All that was said instead.
    async fn first<'c, T>(
        &'c self,
        ask: impl Fn(&'c Endpoint) -> BoxFuture<'c, Result<T, Fault>>,
        is_silent: impl Fn(&Fault) -> bool,
        hedge: Duration,
    ) -> Result<(&'c Endpoint, T), Vec<(&'c Endpoint, Fault)>> {
        let (mut rest, mut asked, mut said) = (self.in_turn().fuse(), FuturesUnordered::new(), Vec::new());
        let start = |endpoint: &'c Endpoint| {
            let answer = ask(endpoint);
            async move { (endpoint, answer.await) }
        };
        let (mut refused, mut latest) = (false, rest.next());
        asked.extend(latest.map(start));
        loop {
            let answered = tokio::select! {
                answered = asked.next() => answered,
                () = sleep(hedge), if !refused && latest.is_some() => {
                    // Nobody may be left to hear what it says.
                    latest.into_iter().for_each(|slow| slow.silent.store(true, Ordering::Relaxed));
                    latest = rest.next();
                    asked.extend(latest.map(start));
                    continue;
                }
            };
            if let Some((endpoint, answer)) = &answered {
                endpoint.heard(answer.as_ref().err());
            }
            match answered {
                None => return Err(said),
                Some((endpoint, Ok(value))) => return Ok((endpoint, value)),
                Some((endpoint, Err(fault))) => {
                    refused |= !is_silent(&fault);
                    said.push((endpoint, fault));
                    if !refused {
                        latest = rest.next();
                        asked.extend(latest.map(start));
                    }
                }
            }
        }
    }

    /// Every switch, by the first endpoint that answers.
    ///
    /// # Errors
    /// When none answers, or one refuses.
    pub async fn switches(&self) -> Result<Switches, Fault> {
        let said = match self.first(|endpoint| Box::pin(self.told_by(endpoint)), is_unheard, HEDGE).await {
            Ok((_, told)) => return Ok(told),
            Err(said) => said,
        };
        if let Some((_, refusal)) = said.iter().find(|(_, fault)| !is_unheard(fault)) {
            return Err(Fault { system: self.system.clone(), ..refusal.clone() });
        }
        let silent: Vec<&str> = said.iter().map(|(endpoint, _)| endpoint.region.as_str()).collect();
        Err(Fault::transient(&self.system, format!("no endpoint of the cluster answers ({})", silent.join(", ")))
            .means("nothing was changed by it")
            .next("see whether this host reaches any of them"))
    }

    /// How many endpoints answer, of how many.
    pub async fn answering(&self) -> (usize, usize) {
        let arn = self.controls.values().next().map(String::as_str).unwrap_or_default();
        let looks = self.endpoints.iter().map(|endpoint| async move {
            let look = endpoint.state(arn).await;
            endpoint.heard(look.as_ref().err());
            look
        });
        let looks = futures::future::join_all(looks).await;
        (looks.iter().filter(|look| look.is_ok()).count(), looks.len())
    }

    /// Sets every switch at once, all or nothing, by the first endpoint that answers. Safety rules of `overridden` do not count.
    ///
    /// # Errors
    /// Permanent when the cluster refuses it, ambiguous when an endpoint took it and did not answer and none after it did.
    pub async fn set(&self, to: &Switches, overridden: &[String]) -> Result<String, Fault> {
        let entry = |(region, on): (&RegionId, &bool)| {
            let arn = self.controls.get(region)?;
            let state = if *on { RoutingControlState::On } else { RoutingControlState::Off };
            let entry = UpdateRoutingControlStateEntry::builder().routing_control_arn(arn).routing_control_state(state);
            entry.build().ok()
        };
        let entries: Vec<UpdateRoutingControlStateEntry> = to.iter().filter_map(entry).collect();
        let refuses = |fault: &Fault| fault.class == FaultClass::Permanent;
        let said = match self
            .first(|endpoint| endpoint.set(entries.clone(), overridden), |fault| !refuses(fault), HEDGE_CHANGE)
            .await
        {
            Ok((endpoint, ())) => return Ok(endpoint.region.clone()),
            Err(said) => said,
        };
        // What may have happened stays so, whoever is silent or refuses after it.
        let order = |fault: &Fault| match fault.class {
            FaultClass::Ambiguous => 2,
            FaultClass::Permanent => 1,
            FaultClass::Transient => 0,
        };
        let worst = said.into_iter().map(|(_, fault)| fault).max_by_key(order);
        let none = || Fault::transient(&self.system, "no endpoint of the cluster answers");
        Err(worst.map_or_else(none, |fault| Fault { system: self.system.clone(), ..fault }))
    }
}
