//! Who may write: every pod that lives, whoever made it, and everything that would make more. A fence is done when none of them is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, join_all};

use super::census::minded;
use super::lists::part;
use super::pods::{Pod, living};
use super::sorts::{Knob, POD, Sort, WRITING};
use super::workload::{Owner, Workload};
use super::{Cluster, Spot};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;

/// How far up owners are followed: a ReplicaSet, an operator's object, and whatever made that.
const LEVELS: usize = 4;

/// Something that runs pods, and how many of them live.
#[derive(Clone, Debug)]
pub struct Writer {
    pub it: Workload,
    pub running: usize,
    /// So many of them are being ended.
    pub leaving: usize,
}

/// What was seen, and why some of it was not.
#[derive(Default)]
pub struct Writers {
    pub all: Vec<Writer>,
    pub blind: Vec<Fault>,
    /// Of each cluster that nobody answers from, how silent it is.
    pub silent: Vec<String>,
    /// How many namespaces were looked at.
    pub reached: usize,
}

impl Writer {
    /// Whether a pod of it may write, now or by itself later.
    pub fn may_write(&self) -> bool {
        let it = &self.it;
        self.running > 0 || it.all > 0 || !it.is_stopped() || !it.observed
    }

    /// Whether it can be told to stop.
    pub fn can_be_told(&self) -> bool {
        self.it.sort.knob != Knob::None
    }

    /// Whether it goes on, and nothing that a fence may do would end it.
    pub fn stays(&self) -> bool {
        !self.can_be_told() && (self.running > self.leaving || self.it.wanted > 0)
    }

    /// `auth 2 of 3 pods`, `CronJob nightly`, `pod debug`
    pub fn words(&self) -> String {
        let it = &self.it;
        let minder = it.owner.as_ref().map(|owner| format!(", minded by {}", owner.words())).unwrap_or_default();
        match it.sort.knob {
            Knob::Suspend | Knob::Pause => it.called(),
            _ if it.sort == POD => format!("pod {}", it.name),
            Knob::None => format!("{} {} pods{minder}", it.called(), self.running),
            _ => format!("{} {} of {} pods{minder}", it.called(), self.running, it.wanted),
        }
    }
}

impl Writers {
    /// Those that may write.
    pub fn writing(&self) -> impl Iterator<Item = &Writer> {
        self.all.iter().filter(|it| it.may_write())
    }

    /// Those that go on whatever a fence does.
    pub fn staying(&self) -> Vec<&Writer> {
        self.all.iter().filter(|it| it.stays()).collect()
    }

    /// In the order in which they are stopped: what makes others before what is made.
    pub fn in_order(&self) -> Vec<&Writer> {
        let mut all: Vec<&Writer> = self.all.iter().collect();
        all.sort_by_key(|writer| match (writer.it.sort.knob, writer.it.sort.is_known) {
            (Knob::Suspend | Knob::Pause, _) => 0,
            (Knob::Scale, false) => 1,
            (Knob::Parallelism, _) => 2,
            (Knob::Scale, true) => 3,
            (Knob::None, _) => 4,
        });
        all
    }
}

pub fn listed<'a>(all: impl IntoIterator<Item = &'a Writer>) -> String {
    all.into_iter().map(Writer::words).collect::<Vec<_>>().join(", ")
}

impl Cluster {
    /// All that may write, or what is called by `names`, without what is called by `except`. `silent` says which clusters are out of
    /// reach, in their order: these are passed over, and no other is because of them.
    ///
    /// # Errors
    /// When the pods could not be read; also when one of `names` is nobody's, or a namespace is none.
    pub fn writers<'a>(
        &'a self,
        names: &'a [String],
        except: &'a [String],
        silent: &'a [Option<String>],
    ) -> BoxFuture<'a, Result<Writers, Fault>> {
        Box::pin(async move {
            let mut whole = Writers { silent: silent.iter().flatten().cloned().collect(), ..Writers::default() };
            let is_there = |spot: &&Arc<Spot>| {
                let at = self.clients.iter().position(|client| Arc::ptr_eq(client, &spot.client));
                at.and_then(|at| silent.get(at)?.as_ref()).is_none()
            };
            let here: Vec<_> = self.spots.iter().filter(is_there).map(writers_at).collect();
            for here in join_all(here).await {
                let here = here?;
                whole.all.extend(here.all);
                whole.blind.extend(here.blind);
                whole.reached += 1;
            }
            whole.all.retain(|writer| !except.iter().any(|name| writer.it.is_meant(name)));
            // What is not found here may be where nobody answers.
            let missing = names.iter().find(|name| !whole.all.iter().any(|writer| writer.it.is_called(name)));
            if let Some(name) = missing.filter(|_| whole.silent.is_empty()) {
                return Err(whole.blind.into_iter().next().unwrap_or_else(|| self.nobody(name)));
            }
            whole.all.retain(|writer| names.is_empty() || names.iter().any(|name| writer.it.is_meant(name)));
            Ok(whole)
        })
    }
}

fn writers_at(spot: &Arc<Spot>) -> BoxFuture<'_, Result<Writers, Fault>> {
    Box::pin(async move {
        // One after the other: pods that are made in between are seen.
        let (mut census, keda) = tokio::join!(spot.clone().census(&WRITING), spot.keda());
        let pods = living(&spot.pods().await?);
        match keda {
            Ok(keda) => census.all = census.all.into_iter().map(|it| minded(it, &keda)).collect(),
            Err(fault) => census.blind.push(fault),
        }
        let mut all: Vec<Writer> = census.all.into_iter().map(|it| Writer { it, running: 0, leaving: 0 }).collect();
        let mut rest = BTreeMap::<Owner, Vec<Pod>>::new();
        for pod in pods {
            match (whose(&pod, &all), pod.owner.clone()) {
                (Some(at), _) => all[at].takes(&pod),
                (None, Some(owner)) => rest.entry(owner).or_default().push(pod),
                (None, None) => {
                    let mut bare =
                        Writer { it: Workload::unknown(&POD, &pod.name, None, spot), running: 0, leaving: 0 };
                    bare.takes(&pod);
                    all.push(bare);
                }
            }
        }
        // Who minds a workload starts it again: it is told to stop as well, if it can be.
        let minders = all.iter().filter(|writer| writer.may_write()).filter_map(|writer| writer.it.owner.clone());
        let foreign = |owner: &Owner| !WRITING.iter().any(|sort| sort.is_of(&owner.api_version, &owner.kind));
        for owner in minders.filter(foreign).collect::<Vec<_>>() {
            rest.entry(owner).or_default();
        }
        let owners: Vec<_> = rest.keys().map(|owner| root(spot, owner)).collect();
        let roots = join_all(owners).await;
        for (root, pods) in roots.into_iter().zip(rest.into_values()) {
            let known =
                all.iter().position(|writer| writer.it.path == root.path && writer.it.sort.kind == root.sort.kind);
            let at = known.unwrap_or(all.len());
            if known.is_none() {
                // What minds others and has no pods of its own counts only when it can be told.
                if pods.is_empty() && root.sort.knob == Knob::None {
                    continue;
                }
                all.push(Writer { it: root, running: 0, leaving: 0 });
            }
            pods.iter().for_each(|pod| all[at].takes(pod));
        }
        if all.is_empty() && census.blind.is_empty() {
            spot.is_one().await?;
        }
        Ok(Writers { all, blind: census.blind, ..Writers::default() })
    })
}

impl Spot {
    /// Of a namespace that there is not, a server lists nothing, as of an empty one: nobody writes there, and what is meant goes on.
    async fn is_one(&self) -> Result<(), Fault> {
        let path = format!("/api/v1/namespaces/{}", part(&self.namespace));
        match self.client.get("look for the namespace", &path).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let what = format!("there is no namespace {}", clean(&self.namespace));
                Err(Fault::permanent(self.client.system(), what)
                    .means("nothing there can be stopped, and what is meant may go on somewhere else")
                    .next("correct `namespace` in the config, then run `mayday check --connect`"))
            }
            // Who may not ask for it, but may list what is in it, has rights there: it is one.
            Err(fault) if fault.class == FaultClass::Permanent => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl Writer {
    fn takes(&mut self, pod: &Pod) {
        self.running += 1;
        self.leaving += usize::from(pod.leaving);
    }
}

/// Which of them minds a pod, or would take it that nobody minds.
fn whose(pod: &Pod, all: &[Writer]) -> Option<usize> {
    let minder = pod.minder();
    all.iter().position(|Writer { it, .. }| match &minder {
        Some(owner) => it.name == owner.name && it.sort.is_of(&owner.api_version, &owner.kind),
        None => it.takes(&pod.labels),
    })
}

/// What is at the end of a chain of owners: the last one that can be told to stop, else the last one that could be looked at.
fn root<'a>(spot: &'a Arc<Spot>, owner: &'a Owner) -> BoxFuture<'a, Workload> {
    Box::pin(async move {
        let (mut next, mut found) = (Some(owner.clone()), None::<Workload>);
        for _ in 0..LEVELS {
            let Some(owner) = next.take() else { break };
            let Ok(Some(sort)) = spot.client.sort_of(&owner.api_version, &owner.kind).await else { break };
            let Ok(Some(it)) = spot.object(&sort, &owner.name).await else { break };
            next = it.owner.clone();
            let better = it.sort.knob == Knob::Scale || found.as_ref().is_none_or(|it| it.sort.knob == Knob::None);
            if better {
                found = Some(it);
            }
        }
        let unseen =
            || Workload::unknown(&Sort::told(&owner.api_version, &owner.kind, "", false), &owner.name, None, spot);
        found.unwrap_or_else(unseen)
    })
}
